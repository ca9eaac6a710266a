"""Requests for tokens. Threads of their own answer them, without Django's middleware and REST framework.

These took a third of the time of an exchange. Django has a view for each, which answers unusual requests.
"""

import logging
import time
from functools import partial

from django.db import connection

from api.v1 import issuing
from core.errors import DomainError
from core.ids import current_id
from core.messages import Reply, Request, ThreadEndpoint, ThreadWork
from core.metrics import report_http
from core.pool import PoolFull, with_connections
from core.timeouts import cause_to_log
from limits.throttle import address_group
from oauth import grants
from server.front.bounds import ISSUING_THREADS, MAX_QUEUED
from server.front.exchange import BUSY, Announcement, Exchange
from server.front.headers import caller_of, common_headers, require_usual
from server.front.hot import UNUSUAL
from server.front.replies import encode_headers
from server.front.turns import FairPool
from server.metrics import route_of
from server.request_log import log_request

logger = logging.getLogger(__name__)

ENDPOINTS = {**issuing.ENDPOINTS, **grants.ENDPOINTS}
SERVER_ERROR = 500


class Issuing:
    """Answers requests for tokens, in turn by address. An address and an agent each have their part of the threads."""

    def __init__(self) -> None:
        threads = ISSUING_THREADS[connection.vendor]
        self._pool = FairPool(threads, threads, MAX_QUEUED)
        common = common_headers()
        self._lines = {path: "".join(encode_headers([*common, *each.headers])) for path, each in ENDPOINTS.items()}

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a thread."""
        return self._pool.waiting

    def answer(self, exchange: Exchange) -> bool:
        """Return False if Django must answer."""
        request = exchange.request
        endpoint = ENDPOINTS.get(request.path)
        if endpoint is None:
            return False
        try:
            require_usual(request)
            actor = caller_of(request)
            work = endpoint.read(request, actor)
        except UNUSUAL:
            return False
        try:
            answer = partial(self._answer, exchange, endpoint, work, actor.request_id)
            caller = address_group(actor.ip or "")
            self._pool.submit(caller, partial(exchange.run, answer), work.client_id, exchange)
        except PoolFull:
            exchange.refuse(BUSY)
        return True

    def expire(self) -> None:
        """End the requests that have waited for a thread for too long."""
        self._pool.expire()

    def stop(self) -> None:
        self._pool.stop()

    def _answer(self, exchange: Exchange, endpoint: ThreadEndpoint, work: ThreadWork, request_id: str) -> Announcement:
        """Do the work in a thread. Return what sends its reply. Report and log it as Django's middleware does."""
        request, began = exchange.request, time.perf_counter()
        current_id.set(request_id)
        try:
            reply = with_connections(work.run)()
        except Exception as error:
            reply = endpoint.fail(error, request, request_id)
            if reply.status >= SERVER_ERROR:
                _log_failure(request, error, request_id)
        seconds = time.perf_counter() - began
        report_http(route_of(request.path), reply.status, seconds)
        log_request(request.method, request.path, request.path, reply.status, seconds, request_id=request_id)
        lines = f"{self._lines[request.path]}X-Request-Id: {request_id}\r\n"
        return partial(exchange, Reply(reply.status, reply.headers, reply.body, lines))


def _log_failure(request: Request, error: Exception, request_id: str) -> None:
    # What the code raises on purpose needs no traceback.
    cause = None if isinstance(error, DomainError) else cause_to_log(error)
    logger.error("%s %s failed", request.method, request.path, exc_info=cause, extra={"request_id": request_id})
