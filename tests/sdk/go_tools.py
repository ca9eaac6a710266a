"""Go's implementations of signed notes and Merkle proofs, as a program that checks files of the log."""

import os
import subprocess
from functools import cache
from pathlib import Path

from tests.live.server import ROOT
from tests.programs import find_program, skip_without

SOURCE = ROOT / "tests" / "sdk" / "interop" / "main.go"
# Where Debian's packages put Go libraries, and the package of each.
GOPATH = Path("/usr/share/gocode")
LIBRARIES = {
    "golang.org/x/mod/sumdb/note": "golang-golang-x-mod-dev",
    "github.com/transparency-dev/merkle/proof": "golang-github-transparency-dev-merkle-dev",
}


def check_with_go(folder: Path, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the program with the arguments that main.go describes. `folder` keeps it; Go's own cache keeps the libraries.

    Skips the test if Go or a library is not installed.
    """
    program = _build(folder)
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


@cache
def _build(folder: Path) -> Path:
    go = find_program("golang-go", "go")
    for library, package in LIBRARIES.items():
        if not (GOPATH / "src" / library).is_dir():
            skip_without(package)
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": "", "CGO_ENABLED": "0"}
    program = folder / "interop"
    subprocess.run([go, "build", "-o", program, SOURCE], env=environment, check=True, timeout=600)
    return program
