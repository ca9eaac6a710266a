"""The loop that sends events: rounds in the database decide what is tried, and the tries run here side by side.

The database, the archive and the follower are asked in threads, so that no receiver and no slow read delays another
try. Whatever fails is tried again: nothing ends the loop but `stopped`.
"""

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from core.locks import Busy
from core.pool import Pool, with_connections
from core.posting import Poster
from events.addresses import Addresses
from events.following import catch_up, follow_once
from events.holding import Result, Round, Try, Work, postpone_catching_up, run_round
from events.models import Webhook
from events.sending import NOT_IN_LOG, SECONDS, UNREADABLE, Outcome, render, send

logger = logging.getLogger(__name__)

# How long a round waits for something to happen, and at least, so that it has several results to record.
PAUSE_SECONDS, LEAST_PAUSE_SECONDS = 0.2, 0.05
LONGEST_PAUSE_SECONDS = 1.0
# The follower reads the log this often. Under load, fewer and larger stretches cost less.
FOLLOW_SECONDS, FOLLOW_SECONDS_UNDER_LOAD, LOAD = 0.1, 0.4, 500
RENDERING_THREADS, CATCHING_UP_THREADS = 3, 2
# A trip ends after this time, so that slow receivers do not keep their turn.
TRIP_SECONDS = 5.0


def dispatch(stopped: threading.Event) -> None:
    """Follow the log and send events until `stopped` is set."""
    asyncio.run(Dispatcher(stopped).run())


class Dispatcher:
    """Sends events from one event loop."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._work = Work()
        self._results: list[Result] = []
        self._caught_up: list[str] = []
        self._addresses = Addresses()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_failing = False

    async def run(self) -> None:
        self._loop, self._woken, self._poster = asyncio.get_running_loop(), asyncio.Event(), Poster()
        self._rounds, self._reading = Pool(1, 1), Pool(RENDERING_THREADS, 1)
        self._catching_up = Pool(CATCHING_UP_THREADS, 1)
        follower = threading.Thread(target=follow, args=(self._stopped, self._wake), name="follower", daemon=True)
        follower.start()
        try:
            while not self._stopped.is_set():
                await self._run_round()
                await self._pause()
            await self._finish()
        finally:
            for pool in (self._rounds, self._reading, self._catching_up):
                pool.stop()
            await asyncio.to_thread(follower.join, SECONDS)

    async def _finish(self) -> None:
        """Let the tries in flight end, and record them. What does not end in time is left to other workers."""
        deadline = time.monotonic() + SECONDS + 2 * LONGEST_PAUSE_SECONDS
        while (self._work.held or self._results) and time.monotonic() < deadline:
            await self._run_round(stopping=True)
            await self._pause()

    async def _run_round(self, *, stopping: bool = False) -> None:
        results = self._take_results()
        try:
            done: Round = await self._rounds.call(
                with_connections(partial(run_round, results, self._work, stopping=stopping))
            )
        except Exception as error:
            self._results[:0] = results
            self._log_failure(error)
            await asyncio.sleep(LONGEST_PAUSE_SECONDS)
            return
        if self._is_failing:
            self._is_failing = False
            logger.info("The dispatcher works again.")
        self._work.held = done.held
        self._begin(done)

    def _take_results(self) -> list[Result]:
        """Return what has ended since the round before. The work does not change while a round looks at it."""
        results, self._results = self._results, []
        for result in results:
            self._work.tries.pop(result.made.delivery.id, None)
        self._work.catching_up.difference_update(self._caught_up)
        self._caught_up.clear()
        return results

    def _begin(self, done: Round) -> None:
        of_organizations: dict[str, list[Try]] = defaultdict(list)
        for one in done.tries:
            self._work.tries[one.delivery.id] = one
            of_organizations[one.target.organization_id].append(one)
        for organization_id, tries in of_organizations.items():
            self._spawn(self._send_all(organization_id, tries))
        for webhook in done.behind:
            self._work.catching_up.add(webhook.pk)
            self._spawn(self._catch_up(webhook))

    async def _send_all(self, organization_id: str, tries: Sequence[Try]) -> None:
        """Render events of an organization together, and send them trip by trip."""
        deliveries = [one.delivery for one in tries]
        bodies: Mapping[str, bytes | None] = {}
        try:
            bodies = await self._reading.call(with_connections(partial(render, organization_id, deliveries)))
        except Exception as error:
            self._log_failure(error)
        of_trips: dict[str, list[Try]] = defaultdict(list)
        for one in tries:
            of_trips[one.trip].append(one)
        for several in of_trips.values():
            self._spawn(self._send_in_turn(several, bodies))

    async def _send_in_turn(self, tries: Sequence[Try], bodies: Mapping[str, bytes | None]) -> None:
        """Send events one after the other, until one is not accepted or it takes too long. The rest is put back."""
        began, last = time.monotonic(), Outcome()
        for number, one in enumerate(tries):
            if number and (not last.is_accepted or time.monotonic() > began + TRIP_SECONDS):
                self._end(one, Outcome(postponed=last.postponed or timedelta(0)))
                continue
            last = await self._send(one, bodies)
            self._end(one, last)

    async def _send(self, one: Try, bodies: Mapping[str, bytes | None]) -> Outcome:
        name = one.delivery.id
        try:
            if name not in bodies:
                return Outcome(postponed=UNREADABLE)
            body = bodies[name]
            if body is None:
                return Outcome(error=NOT_IN_LOG)
            with self._addresses.trying(one.target.organization_id, can_hang=one.queue.can_hang) as admit:
                return await send(self._poster, one.target, one.delivery.entry_id, body, admit)
        except Exception:
            logger.exception("A try of %s could not be made.", name)
            return Outcome(postponed=UNREADABLE)

    def _end(self, one: Try, outcome: Outcome) -> None:
        self._results.append(Result(one, outcome))
        self._woken.set()

    async def _catch_up(self, webhook: Webhook) -> None:
        try:
            await self._reading_for(webhook)
        finally:
            self._caught_up.append(webhook.pk)
            self._woken.set()

    async def _reading_for(self, webhook: Webhook) -> None:
        try:
            await self._catching_up.call(with_connections(partial(catch_up, webhook)))
        except Exception as error:
            self._log_failure(error)
            await self._catching_up.call(with_connections(partial(postpone_catching_up, webhook)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pause(self) -> None:
        """Wait until something has happened, or for a while: another worker may have queued something."""
        await asyncio.sleep(LEAST_PAUSE_SECONDS)
        try:
            await asyncio.wait_for(self._woken.wait(), PAUSE_SECONDS)
        except TimeoutError:
            return
        self._woken.clear()

    def _wake(self) -> None:
        """Start the next round at once. The follower's thread calls it."""
        self._loop.call_soon_threadsafe(self._woken.set)

    def _log_failure(self, error: Exception) -> None:
        """Log it once, until a round succeeds."""
        if not self._is_failing:
            log_failure("The dispatcher", error)
        self._is_failing = True


def follow(stopped: threading.Event, tell: Callable[[], None]) -> None:
    """Route the log again and again until `stopped` is set. No error ends this."""
    pause, is_failing = 0.0, False
    while not stopped.wait(pause):
        try:
            routed = with_connections(follow_once)()
        except Exception as error:
            if not is_failing:
                log_failure("The follower", error)
            pause, is_failing = LONGEST_PAUSE_SECONDS, True
            continue
        if routed:
            tell()
        pause, is_failing = FOLLOW_SECONDS if routed < LOAD else FOLLOW_SECONDS_UNDER_LOAD, False
    connections.close_all()


def log_failure(who: str, error: Exception) -> None:
    is_unexpected = not isinstance(error, DatabaseError | InterfaceError | Busy)
    reason = str(error).split("\n", 1)[0] or type(error).__name__
    logger.error("%s failed and tries again: %s", who, reason, exc_info=error if is_unexpected else None)
