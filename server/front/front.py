"""What the connections of one process share."""

import logging
from email.utils import formatdate
from functools import partial

from core.messages import Reply
from core.metrics import connections, parked, pool_waiting, processes, queue_length
from server.front import bounds
from server.front.connections import Connections
from server.front.exchange import Exchange
from server.front.headers import caller_in_turn
from server.front.hot import HotPaths
from server.front.issuing import Issuing
from server.front.turns import FairPool, LoopWorker
from server.front.wsgi import Bridge

logger = logging.getLogger(__name__)


class Front:
    """Answers requests, and ends connections that exceed a bound."""

    def __init__(self, hot: HotPaths, issuing: Issuing, bridge: Bridge, pool: FairPool) -> None:
        self._hot = hot
        self._issuing = issuing
        self._bridge = bridge
        self._pool = pool
        self.parking = bridge.parking
        self._large = LoopWorker()
        self.connections = Connections()
        self.held = 0
        """Bytes of unread input and of bodies in memory."""
        self.date = formatdate(usegmt=True)

    def answer(self, exchange: Exchange) -> None:
        if len(exchange.request.body) > bounds.SMALL_BODY:
            self._large.add(caller_in_turn(exchange.request), partial(self._answer_large, exchange))
        else:
            self._answer(exchange)

    def _answer_large(self, exchange: Exchange) -> None:
        if exchange.is_gone:  # it disconnected while this waited
            exchange(Reply(499, ()))
            return
        try:
            self._answer(exchange)
        except Exception:
            request, extra = exchange.request, {"request_id": exchange.request_id}
            logger.exception("%s %s failed", request.method, request.path, extra=extra)
            exchange.fail()

    def _answer(self, exchange: Exchange) -> None:
        if self._hot.answer(exchange.request, exchange) or self._issuing.answer(exchange):
            return
        self._bridge.answer(exchange, decides=self._hot.decides(exchange.request.path))

    def tick(self, now: float) -> None:
        """Enforce all deadlines. Called every `TICK_SECONDS`; one timer per connection would cost more."""
        self.date = formatdate(usegmt=True)
        for connection in tuple(self.connections):
            try:
                connection.expire(now)
            except Exception:  # of this connection only: the others have deadlines too
                logger.exception("A connection could not be ended")
                connection.abort()
        self._issuing.expire()
        self._bridge.expire()
        self._limit_unsent()
        processes.set(1)
        connections.set(len(self.connections))
        pool_waiting.set(self._pool.waiting + self._bridge.decisions_waiting + self._issuing.waiting)
        parked.set(self.parking.number)
        queue_length.set(self._hot.questions_waiting)

    def abort(self) -> None:
        for connection in tuple(self.connections):
            connection.abort()

    def _limit_unsent(self) -> None:
        """Disconnect clients that do not read, those with the largest buffers first, until the limit is kept."""
        excess = sum(connection.unsent for connection in self.connections) - bounds.MAX_UNSENT
        if excess <= 0:
            return
        for connection in sorted(self.connections, key=lambda each: each.unsent, reverse=True):
            if excess <= 0:
                return
            excess -= connection.unsent
            connection.abort()
