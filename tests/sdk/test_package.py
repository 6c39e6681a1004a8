"""The wheel: what is in it, what it needs, and that the package's own tests pass with it."""

import zipfile
from email.parser import Parser
from pathlib import Path

from tests.sdk.conftest import BASE_DIR, Package


def test_the_wheel_is_typed_and_needs_httpx_alone(package: Package) -> None:
    with zipfile.ZipFile(package.wheel) as wheel:
        names = wheel.namelist()
        (about,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(wheel.read(about).decode())
    assert "tollmeter/py.typed" in names
    assert metadata["Name"] == "tollmeter"
    assert metadata["Requires-Python"] == ">=3.9"
    assert metadata.get_all("Requires-Dist") == ["httpx>=0.25,<1"]
    sources = {str(path.relative_to(BASE_DIR / "sdk/python/src")) for path in _sources()}
    assert sources == {name for name in names if name.endswith(".py")}


def test_the_version_is_said_once_in_each_place(package: Package) -> None:
    done = package.run("python", "-c", "import tollmeter; print(tollmeter.__version__)")
    assert f"tollmeter-{done.stdout.strip()}-py3-none-any.whl" == package.wheel.name


def test_it_is_read_by_the_oldest_python(package: Package) -> None:
    # `ast` takes the grammar of another version; ruff and mypy see to the rest.
    program = "import ast, sys; [ast.parse(open(path).read(), feature_version=(3, 9)) for path in sys.argv[1:]]"
    done = package.run("python", "-c", program, *map(str, _sources()))
    assert done.returncode == 0, done.stderr


def test_the_tests_of_the_package_pass_with_the_wheel(package: Package) -> None:
    done = package.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=BASE_DIR / "sdk/python")
    assert done.returncode == 0, done.stdout[-5000:]


def _sources() -> list[Path]:
    return sorted((BASE_DIR / "sdk/python/src").rglob("*.py"))
