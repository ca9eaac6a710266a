"""The product needs no package that only `requirements-dev.txt` names, and its tests run it without them."""

import re
import subprocess
import tomllib
from functools import reduce
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

from tests import production
from tests.shared import cases

PROJECT = tomllib.loads((production.ROOT / "pyproject.toml").read_text())
FIND = (
    "import sys; from importlib.util import find_spec; print(*(name for name in sys.argv[1:] if not find_spec(name)))"
)
PACKAGES = "from importlib.metadata import distributions as found; print(*(each.name for each in found()))"
STARTED = re.compile(r'sys\.executable, "(?:manage\.py|-m", f?"(?:server|demo)\b)')


def run(*arguments: str) -> list[str]:
    """Return the words that the Python of the environment prints. It finds no module of the checkout."""
    command = [production.python(), "-I", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_the_environment_has_the_packages_of_requirements_alone() -> None:
    found = {normal(name) for name in run("-c", PACKAGES)}

    assert found == {normal(each.name) for each in production.pinned()}


def test_requirements_has_what_the_product_declares_with_all_that_it_needs() -> None:
    declared = (Requirement(text) for text in PROJECT["project"]["dependencies"])
    needed = {normal(name) for name, _ in reduce(with_needs, declared, set())}

    assert needed == {normal(each.name) for each in production.pinned()}


@cases("missing", ["pytest", "hypothesis", "no_such_module"])
def test_a_module_of_the_development_requirements_is_not_found_in_it(missing: str) -> None:
    assert run("-c", FIND, "django", missing) == [missing]


def test_a_package_of_another_version_is_refused() -> None:
    (django,) = (each for each in production.pinned() if each.name == "django")
    django.specifier &= "==1.0"
    with pytest.raises(RuntimeError, match=r"^Django 6\.\S+ is installed, not django.*: compile both files$"):
        production._installed(django)


def test_no_test_starts_the_product_with_the_packages_of_the_tests() -> None:
    texts = {path: path.read_text() for path in (production.ROOT / "tests").rglob("*.py")}

    assert [str(path) for path, text in texts.items() if STARTED.search(text)] == []


def with_needs(found: set[tuple[str, str]], package: Requirement) -> set[tuple[str, str]]:
    """Return `found` with the package and all that it needs here, as names with one extra or none."""
    for extra in {"", *package.extras} - {extra for name, extra in found if name == package.name}:
        found.add((package.name, extra))
        needs = map(Requirement, requires(package.name) or ())
        here = (each for each in needs if not each.marker or each.marker.evaluate({"extra": extra}))
        reduce(with_needs, here, found)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
