"""What to do about a program that this machine does not have."""

import os
import shutil
from typing import NoReturn

import pytest

INSTALL = "install "


def leave_out(package: str) -> NoReturn:
    """Skip the test, naming the Debian package to install. In CI, which installs all of them, fail instead."""
    reason = f"{INSTALL}{package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def find_program(package: str, *names: str) -> str:
    """Return the path of the first of the programs that exists, in root's folders too; without one, skip the test."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = (shutil.which(name, path=path) for name in names or (package,))
    return next(filter(None, found), None) or leave_out(package)


def find_chromium() -> str:
    return find_program("chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
