"""Files that are taken in, with numbers beyond all measure in the place of each of theirs: refused in words."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from meters.models import Customer, Event
from pricing.document_text import DocumentFault, read_text, write_text
from pricing.documents import apply_plan, export_plan
from pricing.models import Plan
from tests.meters.test_import_events import T, run
from tests.security.test_inputs import numbers_of, with_value

BOMBS = ("1e999999", "-1e999999", "NaN", "Infinity", "9" * 5000)
# YAML's own ways to write a number.
IN_YAML = (*BOMBS, ".inf", ".nan", "0x" + "f" * 5000, "1:" * 2000 + "1", "9" * 5000 + ".0e9")


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_documents_of_plans(acme: Customer, form: str) -> None:
    document = export_plan(Plan.objects.get(key="Basic"))
    text = write_text(with_value(document, ("name",), "@@"), form)
    assert read_text(text, form)["name"] == "@@"
    # Of rows that are alike the last one.
    alike = {tuple(one for one in place if isinstance(one, str)): place for place in numbers_of(document)}
    places, taken = list(alike.values()), []
    assert len(places) > 5
    # How a number is written is the form's matter, and what it may be that of its place.
    for place in places if form == "json" else places[-1:]:
        text = write_text(with_value(document, place, "@@"), form).replace('"@@"', "@@").replace("'@@'", "@@")
        for bomb in IN_YAML if form == "yaml" else BOMBS:
            for written in (json.dumps(bomb), bomb):
                try:
                    apply_plan(read_text(text.replace("@@", written), form))
                except (DocumentFault, ValidationError):
                    continue
                taken.append((place, written[:20]))
    assert not taken


@pytest.mark.parametrize("name", ["usage.csv", "usage.jsonl"])
def test_files_of_events(acme: Customer, tmp_path: Any, name: str) -> None:
    head = "id,customer,meter,time,value"
    rows = [f"x{at},acme,ApiCalls,{T},{bomb}" for at, bomb in enumerate(BOMBS)]
    if name.endswith("jsonl"):
        event = {"customer": "acme", "meter": "ApiCalls", "time": T}
        rows = [json.dumps(event | {"id": f"x{at}", "value": "@@"}) for at in range(len(BOMBS))]
        rows = [row.replace('"@@"', bomb) for row, bomb in zip(rows, BOMBS, strict=True)]
        head = ""
    path = tmp_path / name
    path.write_text("\n".join([head, *rows] if head else rows) + "\n")
    before = Event.objects.count()
    status, said, _ = run(path, "--outcomes", str(tmp_path / "outcomes.csv"))
    assert f"{len(BOMBS)} rejected" in said, said
    assert status != 0
    assert Event.objects.count() == before
