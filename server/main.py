"""The production server. `./dev serve` runs this module.

It supervises processes that run the front, and one that runs the sequencer.
"""

import gc
import logging
import resource
import sys
from importlib import import_module

import django
from django.conf import settings
from uvicorn import Config

from server.front.bounds import MAX_CONNECTIONS, STOP_SECONDS
from server.listening import problem_with_address
from server.metrics_folder import share_metrics
from server.supervisor import Supervisor

logger = logging.getLogger("server.main")  # `__name__` is "__main__" here

BACKLOG = 2048
# Per process: up to twice the limit of connections (half are turned away), plus databases, files and pipes.
OPEN_FILES = 4 * MAX_CONNECTIONS
# On SIGHUP, each process is replaced once its successor serves. A busy machine takes seconds to start one.
START_SECONDS = 30


def serve() -> None:
    """Check the start, then serve until a signal arrives. Does not migrate the database."""
    host, port = settings.HOST, settings.API_PORT
    problem = problem_with_address(host, port)
    if problem:
        sys.exit(f"agentgate: {problem}")
    share_metrics()
    django.setup(set_prefix=False)
    from server.starting import check_start  # imports models, so Django must be set up

    check_start()
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    raise_open_files()
    config = make_config()
    sockets = [config.bind_socket()]
    shown = f"[{host}]" if ":" in host else host
    logger.info("Listening on http://%s:%s. Public URL (API_URL): %s", shown, port, settings.API_URL)
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
        host=settings.HOST,
        port=int(settings.API_PORT),
        workers=settings.WEB_CONCURRENCY,
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
    """Let each process open as many files as its connections need, or as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    serve()
