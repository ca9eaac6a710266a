"""Checks of the repository that no linter has. `./dev check` runs them.

Those of migrations, settings and documentation need Django, which takes a second to set up.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import django
import grimp
from django.core.management import CommandError, call_command

from agentgate.databases import create_sqlite_folder
from docs import tables
from tests.hidden_imports import hidden_imports, levels_of
from tests.upgrades import migrations

ROOT = Path(__file__).resolve().parent.parent
DJANGO = (6, 1)
# These names are not ours on a package index, so the commands would install someone else's package, or fail.
UNPUBLISHED = re.compile(r"pip install .{0,12}[a]gentgate|agentgate[-_]s[d]k", re.I)
OUTSIDE_THE_LAYERS = {"tools", "tests", "benchmarks"}
COMMANDS = ("makemigrations --check --dry-run", "check --deploy --fail-level WARNING")


def problems() -> list[str]:
    """Return one line for each check that fails."""
    found = []
    if django.VERSION[:2] != DJANGO:
        found.append(f"Django is {django.get_version()}: a dependency does not allow {DJANGO}")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {init.parent.name for init in ROOT.glob("*/__init__.py")} - OUTSIDE_THE_LAYERS
    layers = levels_of(contracts["contracts"][0]["layers"])
    for name in sorted(packages - set(contracts["root_packages"])):
        found.append(f"{name}/ is not among import-linter's root_packages")
    for name in sorted(packages - layers.keys()):
        found.append(f"{name}/ has no layer in pyproject.toml")
    for name in sorted(layers.keys() - packages):
        found.append(f"{name}/ has a layer in pyproject.toml but does not exist")
    found.extend(hidden_imports(ROOT, layers))
    if modules := modules_in_circles(contracts["root_packages"]):
        found.append(f"These modules import each other in a circle: {', '.join(sorted(modules))}")
    found.extend(migrations.problems())
    found.extend(filter(None, map(failure, COMMANDS)))
    found += [f"{path.relative_to(ROOT)} is out of date: run ./dev fix" for path in tables.stale_pages()]
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines():
        text = (ROOT / name).read_text(errors="ignore") if (ROOT / name).is_file() else ""
        if match := UNPUBLISHED.search(text):
            found.append(f"{name} says {match[0]!r}: the SDK is agentgate-oauth, and only the checkout has it")
    return found


def failure(command: str) -> str:
    """Run a management command. Return why it failed, or an empty string."""
    try:
        call_command(*command.split())
    except (CommandError, SystemExit) as error:
        return f"./dev manage {command} fails: {error}"
    return ""


def modules_in_circles(packages: Sequence[str]) -> set[str]:
    """Return the modules that import themselves through others, also where only types need it."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    found = set(graph.modules)
    while ends := {
        module
        for module in found
        if found.isdisjoint(graph.find_modules_directly_imported_by(module))
        or found.isdisjoint(graph.find_modules_that_directly_import(module))
    }:
        found -= ends
    return found


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentgate.settings")
    create_sqlite_folder()
    django.setup()
    sys.exit("\n".join(problems()) or 0)
