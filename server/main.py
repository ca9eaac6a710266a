"""The production server. `./dev serve` runs this module.

It supervises processes that run the front, and one that runs the sequencer.
"""

import gc
import logging
import resource
from importlib import import_module

import django
from django.conf import settings
from uvicorn import Config

from agentgate.environment import ENVIRONMENT, stop
from server.front.bounds import MAX_CONNECTIONS, STOP_SECONDS
from server.listening import problem_with_address
from server.metrics_folder import share_metrics
from server.supervisor import Supervisor

logger = logging.getLogger("server.main")  # `__name__` is "__main__" here

HOST = ENVIRONMENT.text("HOST", "127.0.0.1")
PORT = ENVIRONMENT.text("API_PORT", "8000")
BACKLOG = 2048
# Per process: connections up to twice the limit, of which half are turned away, and databases, files, pipes.
OPEN_FILES = 4 * MAX_CONNECTIONS
# On SIGHUP, each process is replaced once its successor serves. A busy machine takes seconds to start one.
START_SECONDS = 30


def default_processes() -> int:
    """Return one process without PostgreSQL, because the cache is in its memory."""
    return 2 if ENVIRONMENT.text("DATABASE_URL") else 1


def serve() -> None:
    """Check the start, then serve until a signal arrives. Does not migrate the database."""
    problem = problem_with_address(HOST, PORT)
    if problem:
        stop(problem)
    share_metrics()
    django.setup(set_prefix=False)
    from server.starting import check_start  # imports models, so Django must be set up

    check_start()
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    raise_open_files()
    config = make_config()
    sockets = [config.bind_socket()]
    host = f"[{HOST}]" if ":" in HOST else HOST
    logger.info("Listening on http://%s:%s. Public URL (API_URL): %s", host, PORT, settings.API_URL)
    import_for_processes()
    Supervisor(config, sockets).run()


def import_for_processes() -> None:
    """Import what the forked processes need, so that each starts fast, and shares that memory with the others."""
    for module in ("server.front.process", "audit.sequencing.sequencer_loop", "audit.signing.witnesses"):
        import_module(module)
    gc.collect()
    gc.freeze()


def make_config() -> Config:
    """Return uvicorn's configuration. The protocol class is ours, so its settings for HTTP do not apply."""
    return Config(
        "server.front.process:application",
        host=HOST,
        port=int(PORT),
        workers=max(1, ENVIRONMENT.number("WEB_CONCURRENCY", default_processes())),
        http="server.front.process:Connection",
        ws="none",
        loop="server.front.loop:Loop",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
    )


def raise_open_files() -> None:
    """Let each process open as many files as its connections need, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    serve()
