"""An environment of the packages in `requirements.txt` alone, in which tests start the product's processes.

Its packages are links to those that `./dev` installed, so that making it takes no network and less than a second, and
none is compiled twice. A package that only `requirements-dev.txt` names is missing in it, as in the image and after
`./dev serve` alone.
"""

import fcntl
import hashlib
import shutil
import sys
import venv
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.clean_environment import link

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
FOLDER = ROOT / "var" / "production"


def python() -> str:
    """Return the Python of the environment, for the arguments that follow it: `-m server.main`, `manage.py`."""
    return str(environment() / "bin" / "python")


@cache
def environment() -> Path:
    """Return the folder of the environment, which is made once for each state of `requirements.txt` and of `.venv`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = FOLDER / _digest()
        if not (path / REQUIREMENTS.name).exists():
            for earlier in (each for each in FOLDER.iterdir() if each.is_dir()):
                shutil.rmtree(earlier)
            _make(path)
        return path


def pinned() -> list[Requirement]:
    """Return the packages of `requirements.txt` that this platform needs."""
    lines = (line.rstrip(" \\") for line in REQUIREMENTS.read_text().splitlines() if line[:1].isalnum())
    found = map(Requirement, lines)
    return [each for each in found if each.marker is None or each.marker.evaluate()]


def _make(path: Path) -> None:
    venv.create(path, symlinks=True)
    site = next(path.glob("lib/python*/site-packages"))
    for requirement in pinned():
        link(_installed(requirement), site)
    # The stamp by which ./dev sees that all is installed. It is written last: an unfinished environment has none.
    shutil.copy(REQUIREMENTS, path)


def _installed(requirement: Requirement) -> Distribution:
    found = distribution(requirement.name)
    if not requirement.specifier.contains(found.version, prereleases=True):
        raise RuntimeError(f"{found.name} {found.version} is installed, not {requirement}: compile both files")
    return found


def _digest() -> str:
    digest = hashlib.sha256(REQUIREMENTS.read_bytes())
    digest.update((ROOT / "requirements-dev.txt").read_bytes())
    digest.update(f"{sys.version} {sys.prefix}".encode())
    return digest.hexdigest()[:20]
