"""The production server: granian in front of Django's WSGI application. `./dev serve` runs this module."""

import logging
import time
from contextlib import suppress
from typing import Any

import django
from django.conf import settings
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.common import AbstractServer

from agentgate.environment import ENVIRONMENT, stop
from core.listening import problem_with_address

logger = logging.getLogger("agentgate.server")  # `__name__` is "__main__" here

HOST = ENVIRONMENT.text("HOST", "127.0.0.1")
PORT = ENVIRONMENT.text("API_PORT", "8000")
THREADS_PER_PROCESS = 8
SHUTDOWN_SECONDS = 20
RESTART_SECONDS = 0.5


def default_processes() -> int:
    """Return one process without PostgreSQL, because the cache is in its memory."""
    return 2 if ENVIRONMENT.text("DATABASE_URL") else 1


def serve() -> None:
    """Check the start, then serve until a signal arrives. Does not migrate the database."""
    problem = problem_with_address(HOST, PORT)
    if problem:
        stop(problem)
    django.setup(set_prefix=False)
    from agentgate.starting import check_start  # imports models, so Django must be set up

    check_start()
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    host = f"[{HOST}]" if ":" in HOST else HOST
    logger.info("Listening on http://%s:%s. Public URL (API_URL): %s", host, PORT, settings.API_URL)
    server = run()
    while not server.interrupt_signal:
        time.sleep(RESTART_SECONDS)
        if not server.interrupt_signal:
            server = run()


def run() -> AbstractServer[Any]:
    """Serve until a signal arrives, or until one process has died twice within seconds."""
    server = make_server()
    # granian then gives up and exits. `serve` starts it again.
    with suppress(SystemExit):
        server.serve()
    return server


def make_server() -> AbstractServer[Any]:
    return Granian(
        "agentgate.wsgi:application",
        address=HOST,
        port=int(PORT),
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
