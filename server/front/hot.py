"""Hot paths: requests that the event loop answers itself, without Django.

Django has a view for each of them, which answers invalid requests. So their errors are written once.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError, connections

from api.v1 import direct
from api.v1.health import Health, health_reply, is_cache_up
from audit.signing import log_keys
from core.crypto import SealBroken
from core.errors import DomainError, NotAuthenticated, Unavailable
from core.messages import NotDirect, Reply, Request
from core.metrics import report_unknown_tokens
from decisions.batcher import DEADLINE_SECONDS, DOWN, Batcher
from decisions.callers import throttle_failures, throttle_questions
from decisions.inquiries import DirectEndpoint, Inquiry, find_problem, is_refused
from decisions.questions import Question, make_question
from decisions.requests import Decision
from decisions.services import merge
from decisions.stores.opening import make_store
from limits.quick_throttle import Hit
from limits.rounds import Rounds
from oauth import introspection
from oauth.errors import OAuthError
from resources.authentication import WRONG_CREDENTIAL
from server.front.failures import failures
from server.front.headers import caller_of, common_headers, require_usual
from server.front.log_watch import LogWatch
from server.front.newer_keys import NewerKeys
from server.front.pool import Pool, with_connections
from server.front.replies import encode_headers
from tokens.keys import KeyNotLoaded, known_key, load_keys, loaded_key

logger = logging.getLogger(__name__)

Done = Callable[[Reply], None]
LeaveToDjango = Callable[[], None]

HEALTH = "/api/v1/health"
HEALTH_HEADERS = direct.headers_of(Health)
CACHE_SECONDS = 1.0
# A flood of wrong credentials writes to the database only so often.
FAILURES_SECONDS = 0.05
ENDPOINTS = {**direct.ENDPOINTS, **introspection.ENDPOINTS}
UNUSUAL = (NotDirect, DomainError, OAuthError, SuspiciousOperation, ValueError)


class Asked(NamedTuple):
    """A request to a hot path, and where its reply goes."""

    path: str
    endpoint: DirectEndpoint
    inquiry: Inquiry
    request_id: str
    done: Done
    leave: LeaveToDjango


class HotPaths:
    """Answers the hot paths of one process. All methods but `decide` are called in the event loop's thread."""

    def __init__(self) -> None:
        self._lines_with = cache(partial(_encode, common_headers()))
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Prepare. The process accepts connections after this returns; an exception ends the process."""
        self._batcher = Batcher(make_store(), settings.VERIFY_QUEUE)
        self._thread = Pool(threads=1, queue=0)
        self._rounds = Rounds(throttle_questions, self._thread.call)
        self._database = Pool(threads=1, queue=0)
        self._log_watch = LogWatch(self._database)
        self._newer_keys = NewerKeys(self._database)
        self._failures = Rounds(throttle_failures, self._count_in_database, FAILURES_SECONDS)
        await asyncio.to_thread(_load_keys)

    async def stop(self) -> None:
        """Release everything. No request is in hand any more."""
        await self._batcher.close()
        self._thread.stop()
        self._database.call(connections.close_all)
        self._database.stop()

    def decide(self, questions: Sequence[Question]) -> list[Decision]:
        """Decide in the event loop for a thread of Django's, which waits."""
        return self._batcher.decide(questions)

    @staticmethod
    def decides(path: str) -> bool:
        """Return whether requests to this path ask for decisions, with a body."""
        return path in ENDPOINTS

    @property
    def questions_waiting(self) -> int:
        return self._batcher.number_waiting

    def answer(self, request: Request, done: Done, leave: LeaveToDjango) -> bool:
        """Return False if Django must answer. Otherwise call `done` or `leave` exactly once, now or later.

        `leave` has Django answer after all. Both are harmless after the client has disconnected.
        """
        if request.path == HEALTH:
            return self._answer_health(request, done)
        endpoint = ENDPOINTS.get(request.path) or _endpoint_by_prefix(request.path)
        if endpoint is None:
            return False
        try:
            require_usual(request)
            actor = caller_of(request)
            found = endpoint.read(request, actor)
            if isinstance(found, Reply):
                done(self._complete(found, endpoint.headers, actor.request_id))
                return True
            self._admit(Asked(request.path, endpoint, found, actor.request_id, done, leave))
        except UNUSUAL:
            return False
        return True

    def _admit(self, asked: Asked) -> None:
        """Throttle the caller, then decide. Redis may block, so a thread asks it."""
        hit = asked.inquiry.hit
        if hit is None:
            self._decide(asked)
        elif settings.REDIS_URL:
            self._rounds.hit(hit).add_done_callback(partial(self._admitted, asked))
        else:
            (refusal,) = throttle_questions([hit])
            self._go_on(asked, refusal)

    def _admitted(self, asked: Asked, admission: asyncio.Future[None]) -> None:
        self._go_on(asked, admission.exception())

    def _go_on(self, asked: Asked, refusal: BaseException | None) -> None:
        if refusal is None:
            self._decide(asked)
        else:
            self._fail(asked, refusal)

    def _decide(self, asked: Asked) -> None:
        """Check the signatures, which takes time, so the caller has been admitted. Then ask the batcher."""
        try:
            questions = [make_question(each, loaded_key) for each in asked.inquiry.requests]
        except KeyNotLoaded:
            self._start(self._decide_with_newer_keys(asked))
        else:
            self._ask(asked, questions)

    async def _decide_with_newer_keys(self, asked: Asked) -> None:
        try:
            failure = await _in_time(asyncio.shield(self._newer_keys.read()))
        except Unavailable as error:
            failure = error
        if failure is not None:
            self._fail(asked, failure)
            return
        try:
            questions = [make_question(each, known_key) for each in asked.inquiry.requests]
        except Exception as error:
            logger.exception("%s: a token could not be checked", asked.path, extra={"request_id": asked.request_id})
            self._fail(asked, error)
        else:
            self._ask(asked, questions)

    def _ask(self, asked: Asked, questions: Sequence[Question]) -> None:
        known = [question for question in questions if question.needs_database]
        report_unknown_tokens(len(questions) - len(known))
        if not known:
            self._show(asked, questions, [])
            return
        try:
            self._batcher.submit(known).add_done_callback(partial(self._decided, asked, questions))
        except Unavailable as error:
            self._fail(asked, error)

    def _decided(self, asked: Asked, questions: Sequence[Question], future: asyncio.Future[list[Decision]]) -> None:
        error = future.exception()
        if error is not None:
            self._fail(asked, error)
        elif is_refused(future.result()) and (failure := asked.inquiry.failure):
            self._start(self._refuse(asked, failure))
        elif (problem := find_problem(future.result())) is not None:
            self._fail(asked, problem)
        else:
            self._show(asked, questions, future.result())

    async def _refuse(self, asked: Asked, failure: Hit) -> None:
        """Answer a wrong credential after it has been counted."""
        try:
            await _in_time(self._failures.hit(failure))
        except Exception as error:
            self._fail(asked, error)
        else:
            self._fail(asked, NotAuthenticated(WRONG_CREDENTIAL))

    def _count_in_database[T](self, count: Callable[[], T]) -> asyncio.Future[T]:
        return self._database.call(with_connections(count))

    def _show(self, asked: Asked, questions: Sequence[Question], decided: list[Decision]) -> None:
        try:
            reply = asked.inquiry.show(merge(questions, iter(decided)))
        except Exception as error:
            logger.exception("%s: a decision could not be shown", asked.path, extra={"request_id": asked.request_id})
            self._fail(asked, error)
            return
        asked.done(self._complete(reply, asked.endpoint.headers, asked.request_id))

    def _fail(self, asked: Asked, error: BaseException) -> None:
        reply = asked.endpoint.fail(error, asked.request_id)
        failures.report(asked.path, reply.status, asked.request_id)
        asked.done(self._complete(reply, asked.endpoint.headers, asked.request_id))

    def _complete(self, reply: Reply, headers: Sequence[tuple[str, str]], request_id: str) -> Reply:
        lines = f"{self._lines_with(tuple(headers))}X-Request-Id: {request_id}\r\n"
        return Reply(reply.status, reply.headers, reply.body, lines)

    def _answer_health(self, request: Request, done: Done) -> bool:
        try:
            require_usual(request)
        except NotDirect:
            return False
        if request.method != "GET":
            return False
        self._start(self._show_health(caller_of(request).request_id, done))
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop keeps only a weak reference
        task.add_done_callback(self._tasks.discard)

    async def _show_health(self, request_id: str, done: Done) -> None:
        can_decide, cache = await asyncio.gather(self._batcher.can_decide(), _is_cache_up())
        condition = await self._log_watch.condition() if can_decide else None
        reply = health_reply(can_decide=can_decide, is_cache_up=cache, condition=condition)
        done(self._complete(reply, HEALTH_HEADERS, request_id))


async def _in_time[T](future: asyncio.Future[T]) -> T:
    """Return what the future returns. Raises `Unavailable` if it takes longer than a decision may."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
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
    """Ask the cache in a thread of its own, because it may block while all others are busy."""
    if not settings.REDIS_URL:
        return is_cache_up()
    try:
        return await asyncio.wait_for(asyncio.to_thread(is_cache_up), CACHE_SECONDS)
    except TimeoutError:
        return False


def _encode(common: Sequence[tuple[str, str]], own: Sequence[tuple[str, str]]) -> str:
    """Return the lines of the headers that all replies of an endpoint have."""
    return "".join(encode_headers([*common, *own]))


def _endpoint_by_prefix(path: str) -> DirectEndpoint | None:
    return next((endpoint for prefix, endpoint in direct.PREFIXES.items() if path.startswith(prefix)), None)
