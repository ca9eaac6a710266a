"""Perform the effects of a flow: one driver blocks, the other awaits."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar, cast

import httpx

from ._bounds import Body, bound_reads, ending_after, read_bounded, whole_seconds
from ._causes import cause_of
from ._effects import Acquire, Blocking, Effect, Flow, Mutex, NetworkFailure, Send, Sleep
from ._retry import connection_error
from ._version import USER_AGENT

T = TypeVar("T")

# Failures before the request was sent: the server cannot have acted on it.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class _Steps(Generic[T]):
    """Steps through a flow. Leaving the `with` block closes the flow, which releases its locks."""

    effect: Effect
    result: T

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        self._resume: Callable[[], Effect] = partial(flow.send, None)

    def __enter__(self) -> _Steps[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._flow.close()

    def advance(self) -> bool:
        """Go to the next effect. Return False once the flow has its result."""
        try:
            self.effect = self._resume()
        except StopIteration as end:
            self.result = end.value
            return False
        return True

    def answer(self, value: object) -> None:
        self._resume = partial(self._flow.send, value)

    def fail(self, error: Exception) -> None:
        self._resume = partial(self._flow.throw, error)


class SyncDriver:
    """Runs flows in the calling thread. Safe to share between threads."""

    def __init__(self, base_url: str, timeout: float, http_client: httpx.Client | None = None) -> None:
        self._base_url = base_url
        self._http = http_client or _connect(httpx.Client, timeout)
        if http_client is None:
            bound_reads(self._http)

    def new_mutex(self) -> Mutex:
        return threading.Lock()

    def run(self, flow: Flow[T]) -> T:
        with _Steps(flow) as steps:
            while steps.advance():
                try:
                    steps.answer(self._perform(steps.effect))
                except Exception as error:
                    steps.fail(error)
            return steps.result

    @contextmanager
    def stream(self, effect: Send) -> Iterator[httpx.Response]:
        """Yield the response before its body is read. Raises ConnectionFailedError. It is not repeated."""
        request = _request(self._http, self._base_url, effect)
        try:
            with closing(self._http.send(request, stream=True, follow_redirects=False)) as response:
                yield response
        except httpx.RequestError as error:
            failure = _failure(error, self._base_url)
            raise connection_error(failure) from None

    def close(self) -> None:
        self._http.close()

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Send):
            return self._send(effect)
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        if isinstance(effect, Acquire):
            return cast(threading.Lock, effect.mutex).acquire()
        return effect.function()

    def _send(self, effect: Send) -> httpx.Response | NetworkFailure:
        request = _request(self._http, self._base_url, effect)
        try:
            with (
                ending_after(whole_seconds(request)),
                closing(self._http.send(request, stream=True, follow_redirects=False)) as response,
            ):
                return read_bounded(response)
        except httpx.RequestError as error:
            return _failure(error, self._base_url)


class AsyncDriver:
    """Runs flows in the calling task. Must be used in one event loop only."""

    def __init__(self, base_url: str, timeout: float, http_client: httpx.AsyncClient | None = None) -> None:
        self._base_url = base_url
        self._http = http_client or _connect(httpx.AsyncClient, timeout)

    def new_mutex(self) -> Mutex:
        return asyncio.Lock()

    async def run(self, flow: Flow[T]) -> T:
        with _Steps(flow) as steps:
            while steps.advance():
                try:
                    steps.answer(await self._perform(steps.effect))
                except Exception as error:
                    steps.fail(error)
            return steps.result

    async def close(self) -> None:
        await self._http.aclose()

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Send):
            return await self._send(effect)
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        if isinstance(effect, Acquire):
            return await cast(asyncio.Lock, effect.mutex).acquire()
        return await _run_in_thread(effect)

    async def _send(self, effect: Send) -> httpx.Response | NetworkFailure:
        request = _request(self._http, self._base_url, effect)
        try:
            return await asyncio.wait_for(self._exchange(request), whole_seconds(request))
        except asyncio.TimeoutError:
            return _failure(httpx.ReadTimeout("the response did not end in time"), self._base_url)
        except httpx.RequestError as error:
            return _failure(error, self._base_url)

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        async with aclosing(await self._http.send(request, stream=True, follow_redirects=False)) as response:
            body = Body(response)
            async for chunk in response.aiter_bytes():
                body.add(chunk)
            return body.complete()


async def _run_in_thread(effect: Blocking) -> Any:
    running = asyncio.ensure_future(asyncio.to_thread(effect.function))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        # A second cancellation must wait for the thread, too.
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if running.exception() is None:
            effect.undo(running.result())
        raise


def _request(http: httpx.Client | httpx.AsyncClient, base_url: str, effect: Send) -> httpx.Request:
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        **effect.headers,
    }
    return http.build_request(
        effect.method,
        base_url + effect.path,
        headers=headers,
        params=dict(effect.params),
        json=effect.json,
        data=effect.form and dict(effect.form),
        timeout=_timeout(http.timeout, effect.patience),
    )


def _timeout(usual: httpx.Timeout, patience: float) -> httpx.Timeout:
    read = None if usual.read is None else usual.read + patience
    return httpx.Timeout(connect=usual.connect, read=read, write=usual.write, pool=usual.pool)


def _failure(error: httpx.RequestError, url: str) -> NetworkFailure:
    was_sent = not isinstance(error, _NEVER_SENT)
    return NetworkFailure(type(error).__name__, was_sent, url, cause_of(error))


def _connect(client_type: Callable[..., T], timeout: float) -> T:
    """Return a client. Raises ValueError if the certificates that a variable names cannot be read."""
    try:
        if file := os.environ.get("SSL_CERT_FILE"):
            os.stat(file)  # httpx 0.27 ignores a missing file
        return client_type(timeout=timeout)
    except OSError as error:
        named = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
        if named is None:
            raise
        problem = f"{named} names no certificates that can be read: {os.environ[named]} ({error.strerror})"
        raise ValueError(problem) from None
