"""The production server: granian in front of Django's WSGI application. `./dev serve` runs this module."""

import django
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from agentgate.environment import ENVIRONMENT, stop

THREADS_PER_PROCESS = 8
SHUTDOWN_SECONDS = 20


def default_processes() -> int:
    """Without PostgreSQL the cache is one process's own, so one process it is."""
    return 2 if ENVIRONMENT.text("DATABASE_URL") else 1


def serve() -> None:
    """Serve until a signal says stop. Unsafe settings end the start instead; nothing is migrated."""
    try:
        django.setup(set_prefix=False)
        call_command("check")
    except SystemCheckError as error:
        stop(str(error))
    Granian(
        "agentgate.wsgi:application",
        address=ENVIRONMENT.text("HOST", "127.0.0.1"),
        port=ENVIRONMENT.number("API_PORT", 8000),
        interface=Interfaces.WSGI,
        workers=max(1, ENVIRONMENT.number("WEB_CONCURRENCY", default_processes())),
        blocking_threads=THREADS_PER_PROCESS,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=SHUTDOWN_SECONDS,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    serve()
