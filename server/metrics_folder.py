"""The folder through which the server's processes share their metrics."""

import atexit
import os
import shutil
import sys
import tempfile

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def share_metrics() -> None:
    """Make the folder, for this process and those that it starts. It is deleted when this process ends.

    Raises `RuntimeError` if prometheus_client has been imported, because it reads the variable only then.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("Call share_metrics() before prometheus_client is imported.")
    folder = os.environ[VARIABLE] = tempfile.mkdtemp(prefix="agentgate-metrics-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
