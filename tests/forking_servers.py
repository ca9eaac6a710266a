"""The process that forks servers and management commands for `tests/preloaded.py`.

It has imported our modules, too, and set up Django, which is nine tenths of a start. Each program reads its own
settings all the same. If one that the imports have read has another value there, the program starts from nothing.
"""

import os
import shutil
import socket
import sys
from importlib import import_module
from tempfile import mkdtemp
from typing import Any

import django
from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.utils.functional import empty

from server import metrics_folder
from tests.forking import import_packages, keep_memory, run, take_requests

MODULES = (
    *("agentgate.urls", "server.starting", "server.front.process"),
    *("audit.sequencing.sequencer_loop", "audit.signing.witnesses"),
)
# A program sets up its log from its own settings, and connects to its own database.
READ_AGAIN = {"LOGGING", "DATABASES"}


def import_modules() -> dict[str, Any]:
    """Import what a server imports before it forks, and return the settings that this read."""
    django.setup(set_prefix=False)
    for module in MODULES:
        import_module(module)
    MigrationLoader(None)
    return {name: value for name, value in vars(settings).items() if name.isupper() and name not in READ_AGAIN}


def read_settings_again(read: dict[str, Any]) -> bool:
    """Read the settings from the environment. Return whether the imports would have read the same."""
    del sys.modules["agentgate.settings"]
    settings._wrapped = empty
    vars(connections).clear()
    type(connections).__init__(connections)
    try:
        return all(getattr(settings, name) == value for name, value in read.items())
    except (Exception, SystemExit):
        return False


def share_metrics() -> None:
    """Do what the function of this name does in a process that has not imported prometheus_client."""
    client = sys.modules.pop("prometheus_client")
    share_in_new_folder()
    sys.modules["prometheus_client"] = client
    # It notices at the first number that this is another process, and begins new files.
    import_module("core.metrics").queue_length.inc(0)


share_in_new_folder = metrics_folder.share_metrics


def main(requests: socket.socket) -> None:
    import_packages()
    # Without it, prometheus_client would keep the numbers of servers in memory. Those of other programs stay in it.
    folder = os.environ[metrics_folder.VARIABLE] = mkdtemp(prefix="agentgate-metrics-")
    read = import_modules()
    keep_memory()
    try:
        arguments = take_requests(requests)
    except BaseException:  # the tests have ended
        shutil.rmtree(folder)
        raise
    if not read_settings_again(read):
        os.execv(sys.executable, [sys.executable, *arguments])
    os.environ[metrics_folder.VARIABLE] = folder
    metrics_folder.share_metrics = share_metrics
    run(arguments)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
