"""Python environments with only what a guide tells its reader to install: the SDK's wheel, and packages from an index.

Their files are links to those that `./dev` installed, so that making one takes no network and less than a second.
"""

import shlex
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
SDK = ROOT / "sdk" / "python"


def build_wheel(folder: Path) -> Path:
    """Build the SDK's wheel in the folder, and return it."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(SDK)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("agentgate_oauth-*.whl")
    return built


def install(command: str, wheel: Path, folder: Path) -> Path:
    """Do what a guide's `pip install` would do in a new environment, and return the environment's Python."""
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    sdk = PathDistribution(next(site.glob("agentgate_oauth-*.dist-info")))
    for package in _needed(requirements_of(command), {"agentgate-oauth": sdk}):
        if package is not sdk:
            link(package, site)
    return folder / "bin" / "python"


def requirements_of(command: str) -> list[Requirement]:
    """Return what the command installs, with the package's name for the SDK's folder."""
    program, act, *packages = shlex.split(command)
    assert (program, act) == ("pip", "install"), command
    return [Requirement(package.replace("./sdk/python", "agentgate-oauth")) for package in packages]


def _needed(requirements: Iterable[Requirement], known: dict[str, Distribution]) -> list[Distribution]:
    """Return the packages, and all that they require on this platform."""
    waiting, seen, found = list(requirements), set[tuple[str, frozenset[str]]](), dict[str, Distribution]()
    while waiting:
        requirement = waiting.pop()
        step = (requirement.name, frozenset(requirement.extras))
        if step in seen:
            continue
        seen.add(step)
        package = found[requirement.name] = known.get(requirement.name) or distribution(requirement.name)
        waiting += _required_by(package, requirement)
    return list({package.metadata["Name"]: package for package in found.values()}.values())


def _required_by(package: Distribution, requirement: Requirement) -> Iterable[Requirement]:
    for line in package.requires or ():
        required = Requirement(line)
        extras = ("", *requirement.extras)
        if required.marker is None or any(required.marker.evaluate({"extra": extra}) for extra in extras):
            yield required


def link(package: Distribution, site: Path) -> None:
    """Link the package's modules and metadata, but none of its scripts, which name the Python of `.venv`."""
    for file in package.files or ():
        source = Path(str(package.locate_file(file.parts[0])))
        # A folder without this file may hold modules of several packages.
        whole = (source / "__init__.py").exists() or source.suffix == ".dist-info"
        target, source = (site / source.name, source) if whole else (site / file, Path(str(file.locate())))
        if file.parts[0] != ".." and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)
