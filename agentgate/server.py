"""The production server: granian in front of Django's WSGI application. `./dev serve` runs this module."""

import time
from contextlib import suppress
from typing import Any

import django
from django.conf import settings
from django.core.checks import run_checks
from django.db import connections
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.common import AbstractServer

from agentgate.environment import ENVIRONMENT, stop

THREADS_PER_PROCESS = 8
SHUTDOWN_SECONDS = 20
RESTART_SECONDS = 0.5


def default_processes() -> int:
    """Without PostgreSQL the cache is one process's own, so one process it is."""
    return 2 if ENVIRONMENT.text("DATABASE_URL") else 1


def serve() -> None:
    """Serve until a signal says stop. Unsafe settings end the start instead; nothing is migrated."""
    django.setup(set_prefix=False)
    faults = [str(fault) for fault in run_checks() if fault.is_serious()]
    if faults:
        stop("\n".join(faults))
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    connections.close_all()  # the processes are forks, and a connection cannot be shared
    server = run()
    while not server.interrupt_signal:
        time.sleep(RESTART_SECONDS)
        if not server.interrupt_signal:
            server = run()


def run() -> AbstractServer[Any]:
    """Serve until told to stop, or until one process has died twice within seconds, whoever killed it."""
    server = make_server()
    # granian gives up then and exits; a gate comes back.
    with suppress(SystemExit):
        server.serve()
    return server


def make_server() -> AbstractServer[Any]:
    return Granian(
        "agentgate.wsgi:application",
        address=ENVIRONMENT.text("HOST", "127.0.0.1"),
        port=ENVIRONMENT.number("API_PORT", 8000),
        interface=Interfaces.WSGI,
        # HTTP/2 allows a body without a length, which WSGI cannot tell from an empty one.
        http=HTTPModes.http1,
        workers=max(1, ENVIRONMENT.number("WEB_CONCURRENCY", default_processes())),
        blocking_threads=THREADS_PER_PROCESS,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=SHUTDOWN_SECONDS,
        log_level=LogLevels.warning,
    )


if __name__ == "__main__":
    serve()
