"""Programs that tests need, and the packages that contain them."""

import os
import shutil
from typing import NoReturn

import pytest

INSTALL = "install "


def skip_without(package: str) -> NoReturn:
    """Skip the test and name the Debian package to install. In CI, where all are installed, fail instead."""
    reason = f"{INSTALL}{package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def find_program(package: str, *names: str) -> str:
    """Return the path of the first program that exists, also in root's folders. If none does, skip the test."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = (shutil.which(name, path=path) for name in names or (package,))
    return next(filter(None, found), None) or skip_without(package)


def find_chromium() -> str:
    """Return Chromium. Its headless shell needs less time and memory than the browser with windows."""
    shell = "chromium-headless-shell"
    return find_program(shell, shell, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
