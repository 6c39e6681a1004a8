"""Commands in a second terminal."""

import os
import subprocess
import sys
from pathlib import Path

from config.services import BASE_DIR


def test_where_nothing_runs_a_command_says_so(tmp_path: Path) -> None:
    unset = ("DATABASE_URL", "REDIS_URL")
    environment = {name: value for name, value in os.environ.items() if name not in unset and name[:2] != "PG"}
    ended = subprocess.run(
        [sys.executable, "manage.py", "create_api_key", "gateway", "--scope", "ingest"],
        cwd=BASE_DIR,
        # A PostgreSQL that the machine may have is not looked for.
        env=environment | {"TOLLMETER_DATA": str(tmp_path), "PGHOST": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("There is no database: start `make run`")
    assert len(ended.stderr.splitlines()) == 1
