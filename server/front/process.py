"""One server process: uvicorn calls `application` when it starts and stops, and makes a `Connection` per client."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import django

django.setup(set_prefix=False)  # before the imports below, which need the settings and the apps

from django.conf import settings  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

from core import timeouts  # noqa: E402
from server.front.bounds import (  # noqa: E402
    DECIDING_THREADS,
    MAX_COMPUTING,
    MAX_QUEUED,
    STOP_SECONDS,
    SWITCH_SECONDS,
    THREADS,
    TICK_SECONDS,
)
from server.front.connection import Connection  # noqa: E402
from server.front.front import Front  # noqa: E402
from server.front.hot import HotPaths  # noqa: E402
from server.front.issuing import Issuing  # noqa: E402
from server.front.turns import FairPool  # noqa: E402
from server.front.wsgi import Bridge  # noqa: E402

logger = logging.getLogger(__name__)

__all__ = ["Connection", "application"]

django_application = get_wsgi_application()

Messages = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def application(scope: dict[str, Any], receive: Messages, send: Send) -> None:
    """Start and stop what the connections use (ASGI's lifespan protocol). An exception here ends the server."""
    await receive()
    timeouts.use(timeouts.SERVER)
    sys.setswitchinterval(SWITCH_SECONDS)
    pool = FairPool(THREADS, THREADS, MAX_QUEUED)
    deciding = FairPool(DECIDING_THREADS, MAX_COMPUTING, MAX_QUEUED, MAX_COMPUTING)
    hot = HotPaths()
    await hot.start()
    issuing = Issuing()
    bridge = Bridge(django_application, pool, settings.API_PORT, ask=hot.decide, deciding=deciding)
    front = scope["state"]["front"] = Front(hot, issuing, bridge, pool)
    ticking = asyncio.create_task(_tick(front))
    gc.freeze()  # What is loaded by now stays, and looking through it for garbage would take a tenth of the time.
    await send({"type": "lifespan.startup.complete"})
    await receive()
    # By now every connection is closed, or the time for that is over.
    ticking.cancel()
    front.abort()
    front.parking.stop()
    with suppress(TimeoutError):
        await asyncio.wait_for(hot.stop(), STOP_SECONDS)
    pool.stop()
    deciding.stop()
    issuing.stop()
    await send({"type": "lifespan.shutdown.complete"})


async def _tick(front: Front) -> None:
    loop = asyncio.get_running_loop()
    # What started this process, even if it was killed before this line and the process has another parent by now.
    supervisor = multiprocessing.parent_process()
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            front.tick(loop.time())
        except Exception:  # without ticks, nothing would have a deadline
            logger.exception("A tick failed")
        # If the supervisor was killed, nothing else would stop this process.
        if supervisor and os.getppid() != supervisor.pid:
            signal.raise_signal(signal.SIGTERM)
