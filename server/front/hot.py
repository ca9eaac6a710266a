"""Hot paths: requests that the event loop answers itself, without Django.

Django has a view for each of them, which answers invalid requests, so errors are worded once.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError, connections

from api.inquiries import HEADERS as USUAL_HEADERS
from api.v1 import direct
from api.v1.health import Health, health_reply, is_cache_up
from audit.signing import log_keys
from core.crypto import SealBroken
from core.errors import DomainError, Unavailable
from core.messages import NotDirect, Reply, Request
from core.pool import Pool, with_connections
from core.timeouts import DECISION_SECONDS
from decisions.batcher import DOWN, Batcher
from decisions.callers import count_questions, throttle_failures, throttle_questions
from decisions.inquiries import (
    CountFailure,
    Decide,
    DirectEndpoint,
    Inquiring,
    Need,
    ReadNewerKeys,
    Throttle,
    inquire,
)
from decisions.questions import Question
from decisions.requests import Decision
from decisions.stores.opening import make_store
from oauth import introspection
from oauth.errors import OAuthError
from server.front.failures import failures
from server.front.headers import caller_of, common_headers, require_usual
from server.front.hit_batcher import HitBatcher
from server.front.log_watch import LogWatch
from server.front.newer_keys import NewerKeys
from server.front.replies import Headers, encode_headers
from tokens.keys import load_keys

logger = logging.getLogger(__name__)

Done = Callable[[Reply], None]

HEALTH = "/api/v1/health"
HEALTH_HEADERS = direct.headers_of(Health)
CACHE_SECONDS = 1.0
# Wrong credentials are written to the database at most once in this time.
FAILURES_SECONDS = 0.05
ENDPOINTS = {**direct.ENDPOINTS, **introspection.ENDPOINTS}
UNUSUAL = (NotDirect, DomainError, OAuthError, SuspiciousOperation, ValueError)


class Asked(NamedTuple):
    """A request to a hot path, how it is being answered, and where its reply goes."""

    path: str
    endpoint: DirectEndpoint
    inquiring: Inquiring
    request_id: str
    done: Done


class HotPaths:
    """Answers the hot paths of one process. All methods but `decide` are called in the event loop's thread."""

    def __init__(self) -> None:
        self._lines_with = cache(partial(_encode, common_headers()))
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Prepare to answer. The process accepts connections once this returns. An exception ends it."""
        self._batcher = Batcher(make_store(), settings.VERIFY_QUEUE)
        self._thread = Pool(threads=1, queue=0)
        self._throttle = HitBatcher(throttle_questions, self._thread.call)
        self._database = Pool(threads=1, queue=0)
        self._log_watch = LogWatch(self._database)
        self._newer_keys = NewerKeys(self._database)
        self._failures = HitBatcher(throttle_failures, self._count_in_database, FAILURES_SECONDS)
        await asyncio.to_thread(_load_keys)

    async def stop(self) -> None:
        """Release everything, once all requests are answered."""
        await self._batcher.close()
        self._thread.stop()
        self._database.stop()

    def decide(self, questions: Sequence[Question]) -> list[Decision]:
        """Decide in the event loop for a thread of Django's, which waits."""
        return self._batcher.decide(questions)

    @staticmethod
    def decides(path: str) -> bool:
        """Return whether requests to this path ask for decisions in a body."""
        return path in ENDPOINTS

    @property
    def questions_waiting(self) -> int:
        return self._batcher.number_waiting

    def answer(self, request: Request, done: Done) -> bool:
        """Return False if Django must answer. Otherwise call `done` exactly once, now or later."""
        if request.path == HEALTH:
            return self._answer_health(request, done)
        endpoint = ENDPOINTS.get(request.path) or _endpoint_by_prefix(request.path)
        if endpoint is None:
            return False
        try:
            require_usual(request)
            actor = caller_of(request)
            found = endpoint.read(request, actor)
        except UNUSUAL:
            return False
        if isinstance(found, Reply):
            done(self._complete(found, endpoint.headers, actor.request_id))
        else:
            self._go_on(Asked(request.path, endpoint, inquire(found), actor.request_id, done), None)
        return True

    def _go_on(self, asked: Asked, answered: object) -> None:
        """Give an inquiry what it needed. Meet its next need, or send its reply."""
        try:
            need = asked.inquiring.send(answered)
            if isinstance(need, Throttle) and not settings.REDIS_URL:
                count_questions(need.hit)
                need = asked.inquiring.send(None)
            self._meet(need).add_done_callback(partial(self._met, asked))
        except StopIteration as end:
            asked.done(self._complete(end.value, asked.endpoint.headers, asked.request_id))
        except DomainError as error:
            self._fail(asked, error)
        except Exception as error:
            logger.exception("%s: an inquiry failed", asked.path, extra={"request_id": asked.request_id})
            self._fail(asked, error)

    def _meet(self, need: Need) -> asyncio.Future[Any]:
        """Meet a need without blocking the event loop. Raises `Unavailable` if too many questions are waiting."""
        match need:
            case Decide():
                return self._batcher.submit(need.questions)
            case Throttle():
                return self._throttle.hit(need.hit)
            case CountFailure():
                return self._start(_in_time(self._failures.hit(need.hit)))
            case ReadNewerKeys():
                return self._start(self._read_newer_keys())

    def _met(self, asked: Asked, future: asyncio.Future[Any]) -> None:
        error = future.exception()
        if error is None:
            self._go_on(asked, future.result())
        else:
            self._fail(asked, error)

    async def _read_newer_keys(self) -> None:
        failure = await _in_time(asyncio.shield(self._newer_keys.read()))
        if failure is not None:
            raise failure.with_traceback(None)  # it is shared, and each `raise` would lengthen its traceback

    def _count_in_database[T](self, count: Callable[[], T]) -> asyncio.Future[T]:
        return self._database.call(with_connections(count))

    def _fail(self, asked: Asked, error: BaseException) -> None:
        reply = asked.endpoint.fail(error, asked.request_id)
        failures.report(asked.path, reply.status, asked.request_id)
        asked.done(self._complete(reply, asked.endpoint.headers, asked.request_id))

    def _complete(self, reply: Reply, headers: Headers, request_id: str) -> Reply:
        is_usual = reply.headers is USUAL_HEADERS
        lines = f"{self._lines_with(tuple(headers), is_usual)}X-Request-Id: {request_id}\r\n"
        return Reply(reply.status, () if is_usual else reply.headers, reply.body, lines)

    def _answer_health(self, request: Request, done: Done) -> bool:
        try:
            require_usual(request)
        except NotDirect:
            return False
        if request.method != "GET":
            return False
        self._start(self._show_health(caller_of(request).request_id, done))
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop keeps only a weak reference
        task.add_done_callback(self._tasks.discard)
        return task

    async def _show_health(self, request_id: str, done: Done) -> None:
        can_decide, cache = await asyncio.gather(self._batcher.can_decide(), _is_cache_up())
        condition = await self._log_watch.condition() if can_decide else None
        reply = health_reply(can_decide=can_decide, is_cache_up=cache, condition=condition)
        done(self._complete(reply, HEALTH_HEADERS, request_id))


async def _in_time[T](future: asyncio.Future[T]) -> T:
    """Return what the future returns. Raises `Unavailable` if it takes longer than a decision may."""
    try:
        async with asyncio.timeout(DECISION_SECONDS):
            return await future
    except TimeoutError as error:
        raise Unavailable(DOWN) from error


def _load_keys() -> None:
    """Read the signing keys and the log's, so that the first requests need no Django either."""
    try:
        load_keys()
        log_keys.load()
    except DatabaseError as error:
        logger.warning("The signing keys are read later: %s", str(error).split("\n", 1)[0])
    except SealBroken:
        logger.error("There are no receipts and checkpoints: the log's key is encrypted with another JWT_SECRET.")
    finally:
        connections.close_all()


async def _is_cache_up() -> bool:
    """Ask the cache in a thread of its own, because the others may all be busy."""
    if not settings.REDIS_URL:
        return is_cache_up()
    try:
        return await asyncio.wait_for(asyncio.to_thread(is_cache_up), CACHE_SECONDS)
    except TimeoutError:
        return False


def _encode(common: Headers, own: Headers, is_usual: bool) -> str:
    """Return the lines of the headers that all replies of an endpoint have, or that all usual ones have."""
    return "".join(encode_headers([*common, *own, *(USUAL_HEADERS if is_usual else ())]))


def _endpoint_by_prefix(path: str) -> DirectEndpoint | None:
    return next((endpoint for prefix, endpoint in direct.PREFIXES.items() if path.startswith(prefix)), None)
