"""The folder of a server's processes, which only its user can read: for their metrics, and for the one that decides."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

# The variable of prometheus_client.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def make_shared_folder() -> None:
    """Make the folder, for this process and those that it starts. It is deleted when this process ends.

    Raises `RuntimeError` if prometheus_client has been imported, because it reads the variable only then.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("Call make_shared_folder() before prometheus_client is imported.")
    folder = os.environ[VARIABLE] = tempfile.mkdtemp(prefix="agentgate-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def shared_folder() -> Path | None:
    """Return the folder, or None in a process that is alone, such as Django's development server."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None
