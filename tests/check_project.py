"""Facts about the tree that no linter checks; `./dev check` runs this and reads the exit status."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
DJANGO = (6, 1)
# None of these names is ours on a package index, so the command installs a stranger's code or nothing.
UNPUBLISHED = re.compile(r"pip install .{0,12}[a]gentgate|agentgate[-_]s[d]k", re.I)
OUTSIDE_THE_LAYERS = {"tests", "benchmarks"}


def faults() -> list[str]:
    """Return one line for each fact that does not hold."""
    found = []
    if django.VERSION[:2] != DJANGO:
        found.append(f"Django is {django.get_version()}: a dependency has pulled it away from {DJANGO}")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {init.parent.name for init in ROOT.glob("*/__init__.py")} - OUTSIDE_THE_LAYERS
    layers = {name.strip(" ()") for layer in contracts["contracts"][0]["layers"] for name in layer.split("|")}
    for name in sorted(packages - set(contracts["root_packages"])):
        found.append(f"{name}/ is not among import-linter's root_packages")
    for name in sorted(packages - layers):
        found.append(f"{name}/ has no layer: every package has its place")
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines():
        text = (ROOT / name).read_text(errors="ignore") if (ROOT / name).is_file() else ""
        if match := UNPUBLISHED.search(text):
            found.append(f"{name} says {match[0]!r}: the SDK is agentgate-oauth, and only the checkout has it")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults()) or 0)
