"""Rules of the code that no linter knows."""

import ast
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).resolve().parent.parent
MONEY = [
    path
    for app in ("meters", "pricing", "invoices")
    for path in sorted((BASE_DIR / app).rglob("*.py"))
    # A rate of jobs and the seconds of a benchmark are no money and no quantity.
    if "migrations" not in path.parts and "commands" not in path.parts
]


@pytest.mark.parametrize("path", MONEY, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_no_float_touches_money_or_quantity(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
        names_float = isinstance(node, ast.Name) and node.id == "float"
        allowed = path.name in {"wake.py", "catalogue.py", "rate_limit.py"}  # seconds of a clock
        assert allowed or not (is_float or names_float), f"line {getattr(node, 'lineno', '?')}"


def test_sql_is_written_in_one_place() -> None:
    apps = ("meters", "pricing", "invoices", "portal")
    for path in sorted(path for app in apps for path in (BASE_DIR / app).rglob("*.py")):
        if "migrations" in path.parts or path.name.endswith("sql.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.lstrip()
                assert not text.startswith(("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ")), (
                    f"{path}: {text[:60]}"
                )
