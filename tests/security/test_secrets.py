"""Secrets are looked up by their hash, or compared in constant time; none is compared by `==`."""

import ast

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from meters import keys
from tests.scenarios.live import BASE_DIR

APPS = ("config", "meters", "pricing", "invoices", "portal")
SECRET = ("token", "secret", "digest", "password", "signature", "api_key_text", "recovery_code")


def test_a_key_is_found_by_its_hash_in_one_query(db: None) -> None:
    key, text = keys.create_api_key(name="k", scopes=["read"])
    # As wrong at the beginning as at the end: the same question of the database, which never sees a text of a key.
    for tried in (text, "x" + text[1:], text[:-1] + "x"):
        keys.forget()
        with CaptureQueriesContext(connection) as queries:
            found = keys.find(tried)
        assert (found == key) == (tried == text)
        (query,) = queries.captured_queries
        assert '"digest" =' in query["sql"]
        assert tried[4:-1] not in query["sql"]


@pytest.mark.parametrize("app", APPS)
def test_no_secret_is_compared_with_another_text_by_its_signs(app: str) -> None:
    """`==` ends at the first sign that differs, so its time tells how many are right."""
    found = []
    for path in (BASE_DIR / app).rglob("*.py"):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                names = [
                    one.id if isinstance(one, ast.Name) else one.attr
                    for one in (node.left, *node.comparators)
                    if isinstance(one, ast.Name | ast.Attribute)
                ]
                # Two rows of ours may be of one secret; what somebody has sent is another matter.
                if any(name in SECRET for name in names) and names != ["digest", "digest"]:
                    found.append(f"{path}:{node.lineno}")
    assert not found
