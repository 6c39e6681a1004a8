"""What a program makes of our OpenAPI document, against a web server that runs: examples, corner cases, and inputs
at random. No call may be a fault of the server, and each answer is as the document says.

SCHEMATHESIS_SEED and SCHEMATHESIS_SECONDS make it another and a longer one.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from meters.keys import MAX_RATE_LIMIT, create_api_key
from tests.conftest import _database_url
from tests.scenarios.live import PROGRAMS, Live, wait_for
from tests.security.installation import KEYS, fill

SEED = os.environ.get("SCHEMATHESIS_SEED", "8")
SECONDS = int(os.environ.get("SCHEMATHESIS_SECONDS", "25"))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def configuration(folder: Path) -> Path:
    """Half of the names and numbers in addresses and bodies are of something that there is."""
    of_names = ("path.key", "path.customer", "path.fee", "path.number", "path.path", "path.version", "query.customer")
    of_names += ("body.customer", "body.plan", "body.promotion", "body.meter", "body.product_item")
    of_numbers = ("path.id",)
    lines = [
        f"[dictionaries.names]\nvalues = {json.dumps(KEYS)}",
        "[dictionaries.numbers]\nvalues = [1, 2]",
        "[parameters]",
        *(f'"{name}" = {{ dictionary = "names", probability = 0.5 }}' for name in of_names),
        *(f'"{name}" = {{ dictionary = "numbers", probability = 0.5 }}' for name in of_numbers),
    ]
    path = folder / "schemathesis.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_no_call_is_a_fault_of_the_server_and_answers_are_as_documented(tmp_path: Path) -> None:
    _, key = create_api_key(name="all", scopes=["ingest", "read", "write"], rate_limit=MAX_RATE_LIMIT)
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=key)
    fill(client, timezone.now())
    # One worker: with threads, Python 3.11 fails in its own compiler now and then (AST constructor recursion depth).
    live = Live(_database_url(), tmp_path)
    live.start("web")
    try:
        wait_for(live.is_up, 60)
        command = [
            *(str(PROGRAMS / "schemathesis"), "--config-file", str(configuration(tmp_path))),
            *("run", f"{live.url}/v1/schema?format=json", "--header", f"X-API-KEY: {key}"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
            *("--seed", SEED, "--max-time", str(SECONDS), "--max-examples", "10", "--workers", "1"),
            *("--request-timeout", "30", "--generation-database", "none", "--suppress-health-check", "all"),
            *("--warnings", "off", "--no-color"),
        ]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS + 120, check=False)
    finally:
        live.kill("web")
    said = run.stdout + run.stderr
    (tmp_path / "said.txt").write_text(said)
    assert run.returncode == 0, f"{said[-20_000:]}\n{(tmp_path / 'web.log').read_text()[-5000:]}"
