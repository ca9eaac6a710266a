"""A gateway that runs: it reads its files again when they change, and stops without losing a call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse

from .._retry import RetryPolicy
from ..errors import AgentGateError
from ..service import Guard
from ..verifier import AsyncAgentGateVerifier
from . import config, lock, stdio
from .callers import Introspections, TokenSource
from .catalogue import Catalogue
from .config import ConfigError, Gateway
from .connections import TimedProtocol
from .decisions import Decisions, State
from .files import Credential, Files, load_credential
from .front import Bounds, HttpCallers, http_app
from .pinning import COMPARE_SECONDS, Pins
from .published import Published
from .server import build, components_of
from .upstreams import Upstreams

logger = logging.getLogger("agentgate_oauth.gateway")

# A caller is waiting, so a quick refusal is better than a slow answer.
TIMEOUT_SECONDS = 5.0
RETRY = RetryPolicy(attempts=3, base_seconds=0.1, cap_seconds=0.5, max_wait_seconds=2.0)
STOP_SECONDS = 30.0
WATCH_SECONDS = 1.0
HEALTH_SECONDS = 5.0
MAX_CONNECTIONS = 1024
MAX_HEADER_BYTES = 32_768
_RESTART = ("gate", "name", "identifier")


class Running:
    """One gateway. Raises ConfigError if its files cannot be used.

    `callers` makes the source of tokens: of HTTP requests by default. Without a `credential`, its file is
    read.
    """

    def __init__(
        self,
        files: Files,
        *,
        is_shadow: bool = False,
        allow_http: bool = False,
        http_client: httpx.AsyncClient | None = None,
        callers: Callable[[Introspections, Gateway], TokenSource] | None = None,
        credential: Credential | None = None,
    ) -> None:
        self.files = files
        self._seen = self._changed_at()
        self.gateway = config.load(files.config)
        credential = credential or load_credential(files.credential)
        catalogue = Catalogue(self.gateway, lock.load(files.lock))
        options: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "retry": RETRY, "allow_http": allow_http}
        connect = (self.gateway.gate, credential.id, credential.secret)
        self._verifier = AsyncAgentGateVerifier(*connect, http_client=http_client, **options)
        guard = Guard(*connect, async_http_client=http_client, **options)
        introspections = Introspections(self._verifier)
        source = callers(introspections, self.gateway) if callers else None
        self._published = None if source else Published(self.gateway, catalogue, introspections)
        source = source or HttpCallers(introspections, self.gateway.identifier)
        self.decisions = Decisions(
            self._verifier, guard, source, _state(catalogue, self.gateway), is_shadow=is_shadow
        )
        self.server = build(catalogue, self.decisions, source, auth=self._published)
        self._components = components_of(self.server)
        self._closing: set[asyncio.Task[None]] = set()
        self._health: tuple[float, str | None] = (float("-inf"), None)
        self._asking = asyncio.Lock()

    def catalogue(self) -> Catalogue:
        return self._components.catalogue

    def reload(self) -> None:
        """Read the files again. If they cannot be used, what was read before stays in force."""
        self._seen = self._changed_at()
        try:
            gateway = config.load(self.files.config)
            catalogue = Catalogue(gateway, lock.load(self.files.lock))
            for name in _RESTART:
                if getattr(gateway, name) != getattr(self.gateway, name):
                    raise ConfigError(f"{name} has changed, which needs a restart")
            self._replace(catalogue, gateway)
        except ConfigError as error:
            logger.error("The files are not used, and what was read before stays in force: %s", error)
            return
        except Exception:
            logger.exception("The files cannot be read, and what was read before stays in force")
            return
        logger.info("The files were read again: %d entries", sum(1 for _ in catalogue.entries()))

    def _replace(self, catalogue: Catalogue, gateway: Gateway) -> None:
        old = self.decisions.state
        if gateway.upstreams != self.gateway.upstreams or gateway.limits != self.gateway.limits:
            self.decisions.use(_state(catalogue, gateway))
            self._close_apart(old.upstreams)
        else:
            old.pins.replace(catalogue.lock)
            old.catalogue = catalogue
        self.gateway = gateway
        self._components.replace(catalogue)
        self.server.instructions = catalogue.instructions
        if self._published:
            self._published.use(catalogue)

    def _close_apart(self, upstreams: Upstreams) -> None:
        task = asyncio.get_running_loop().create_task(upstreams.aclose(self.gateway.limits.call_seconds))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def watch(self) -> None:
        """Read the files again when they change."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._changed_at() != self._seen:
                self.reload()

    def _changed_at(self) -> tuple[int, ...]:
        def changed(path: Any) -> int:
            try:
                return int(path.stat().st_mtime_ns)
            except OSError:
                return 0

        return changed(self.files.config), changed(self.files.lock)

    async def health(self) -> tuple[bool, dict[str, Any]]:
        """Return whether calls can be decided and forwarded, and what is the case."""
        gate = await self._gate_error()
        state = self.decisions.state
        sessions = state.upstreams.count()
        upstreams = {
            name: {"status": "failed" if name in state.failed else "ok", "sessions": sessions.get(name, 0)}
            for name in self.gateway.upstreams
        }
        is_up = gate is None and len(state.failed) < len(self.gateway.upstreams)
        return is_up, {
            "status": "ok" if is_up else "unavailable",
            "gate": gate or "ok",
            "upstreams": upstreams,
            "blockedDefinitions": state.pins.blocked(),
        }

    async def _gate_error(self) -> str | None:
        """Return why the gate does not decide, None if it does. It is asked every 5 seconds at most."""
        async with self._asking:
            asked_at, error = self._health
            if time.monotonic() - asked_at > HEALTH_SECONDS:
                error = await self._ask_gate()
                self._health = time.monotonic(), error
            return error

    async def _ask_gate(self) -> str | None:
        """Ask about a token that is none: that needs the credential, too, and is not logged."""
        try:
            await self._verifier.introspect("health")
        except AgentGateError as error:
            return type(error).__name__
        return None

    async def aclose(self, seconds: float = STOP_SECONDS) -> None:
        await self.decisions.state.upstreams.aclose(seconds)
        if self._closing:
            await asyncio.wait(self._closing, timeout=seconds)
        await self.decisions.money.finish(seconds)
        await self._verifier.aclose()


def _state(catalogue: Catalogue, gateway: Gateway) -> State:
    pins = Pins(catalogue.lock)
    pool = Upstreams(gateway.upstreams, gateway.limits, pins.compare, COMPARE_SECONDS)
    return State(catalogue, pool, pins, gateway.limits)


async def serve(running: Running, host: str, port: int, started: Callable[[], None]) -> None:
    """Serve over HTTP until SIGTERM or SIGINT. SIGHUP reads the files again."""
    gateway = running.gateway
    bounds = Bounds(gateway.limits.idle_seconds)
    app = http_app(running.server, gateway, running.catalogue, bounds, is_shadow=running.decisions.is_shadow)
    _add_health(app, running, bounds)
    server = _Server(
        http_config(app, host, port),
        started,
    )
    async with _handling_signals(running, server, bounds), _watching(running):
        await server.serve()
    await running.aclose(5)


async def serve_stdio(running: Running) -> None:
    """Serve the client that started this program, until its input ends or SIGTERM arrives."""
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, running.reload)
    async with _watching(running):
        await stdio.serve(running.server, running.gateway.limits)
    await running.aclose(5)


def http_config(app: Any, host: str, port: int) -> uvicorn.Config:
    """Return how the application is served: with bounds on connections, headers and time."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=2,
        reset_contextvars=True,
    )


class _Server(uvicorn.Server):
    """Leaves the signals to the gateway, which lets calls finish and exits with 0."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()


@asynccontextmanager
async def _handling_signals(running: Running, server: uvicorn.Server, bounds: Bounds) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[None]] = []

    async def drain() -> None:
        running.decisions.stopping.set()
        seconds = min(STOP_SECONDS, running.gateway.limits.call_seconds + 5)
        if not await bounds.drain(seconds):
            logger.error("Calls were still in flight after %g seconds", seconds)
        server.should_exit = True

    def stop() -> None:
        if stopping:
            server.should_exit = server.force_exit = True
        else:
            logger.info("Stopping: no new calls, and those in flight finish")
            stopping.append(loop.create_task(drain()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, running.reload)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _watching(running: Running) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(running.watch())
    try:
        yield
    finally:
        task.cancel()


def _add_health(app: Any, running: Running, bounds: Bounds) -> None:
    async def health(_: Request) -> JSONResponse:
        is_up, facts = await running.health()
        if bounds.is_stopping:
            is_up, facts = False, {**facts, "status": "stopping"}
        return JSONResponse(facts, 200 if is_up else 503, {"Cache-Control": "no-store"})

    app.add_route("/health", health, methods=["GET"])


def require_free(host: str, port: int) -> None:
    """Raise OSError if the address cannot be listened on, before anything else starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"{host}:{port}") from None


def address_of(identifier: str) -> tuple[str, int]:
    """Return where the gateway listens for its identifier. Raises ConfigError for https."""
    parts = urlsplit(identifier)
    if parts.scheme == "https":
        raise ConfigError(
            "The identifier is https, so a proxy terminates TLS in front of the gateway. "
            "Say where the gateway listens, with --listen 127.0.0.1:9000"
        )
    return parts.hostname or "127.0.0.1", parts.port or 80
