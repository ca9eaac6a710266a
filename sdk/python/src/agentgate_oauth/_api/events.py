"""The organization's events, after a number: those that there are, and those to come."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from .._base import Api
from .._call import Call, Credential, get
from .._decode import reader
from .._effects import Flow, Sleep
from .._endpoint import endpoint, paged
from .._retry import RetryPolicy, perform
from ..errors import ApiError, ConnectionFailedError, RateLimitedError, ServerError
from ..models import Event, EventPage, Page

logger = logging.getLogger("agentgate_oauth")

# The API's maximum, of events and of seconds.
_MOST, _WAIT_SECONDS = 200, 30
# After an error, the pauses double. A server that answers at once is asked again after the first.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
_ONCE = RetryPolicy(attempts=1)


class Numbered(Protocol):
    """A page of events."""

    @property
    def items(self) -> Any: ...
    @property
    def next(self) -> int: ...


PageT = TypeVar("PageT", bound=Numbered)


class EventsApi(Api):
    @endpoint
    def get_events(
        self,
        *,
        after: int = 0,
        types: Iterable[str] | None = None,
        agent_id: str | None = None,
        wait: int = 0,
        limit: int | None = None,
    ) -> Flow[EventPage]:
        """Return a page of the events after the number `after`, oldest first. 0 begins with the first event.

        `types` are types and patterns, such as "consent.*". Without events, wait for up to `wait` seconds.
        With `types` or `agent_id`, a page can be empty although there is more: go on with its `next`.
        """
        read = reader(EventPage)
        return self._call(
            _get(read, after=after, types=_joined(types), agent_id=agent_id, wait=wait, limit=limit)
        )

    @endpoint
    def wait_for_events(
        self, *, after: int = 0, types: Iterable[str] | None = None, agent_id: str | None = None
    ) -> Flow[EventPage]:
        """Return the next page, as soon as there is one. Store its `next` to go on from there later.

        Errors that pass, such as a cut connection, do not end the waiting. Others are raised.
        """
        read = reader(EventPage)
        return await_page(self._credential, read, after=after, types=_joined(types), agent_id=agent_id)

    @endpoint
    def _existing(
        self,
        *,
        after: int = 0,
        types: Iterable[str] | None = None,
        agent_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[Event]]:
        """All events after the number `after` that there are, oldest first."""
        read, start = reader(EventPage), after if cursor is None else int(cursor)
        call = _get(read, after=start, types=_joined(types), agent_id=agent_id, limit=limit)
        page = yield from self._call(call)
        return Page(page.items, str(page.next) if page.next > start else None)

    @endpoint
    def _all(
        self,
        *,
        after: int = 0,
        types: Iterable[str] | None = None,
        agent_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[Event]]:
        """All events after the number `after`, then wait for new ones: the iterator does not end.

        Errors that pass, such as a cut connection, do not end it. To go on later, store
        `event.stream.number`.
        """
        read, start = reader(EventPage), after if cursor is None else int(cursor)
        page = yield from await_page(
            self._credential, read, after=start, types=_joined(types), agent_id=agent_id, limit=limit
        )
        return Page(page.items, str(page.next))

    iter_events = paged(_existing)
    follow_events = paged(_all)


def await_page(
    credential: Credential,
    parse: Callable[[Any], PageT],
    *,
    after: int,
    types: str | None,
    agent_id: str | None,
    limit: int | None = None,
) -> Flow[PageT]:
    """Return the first page that has events, or whose `next` says that others were examined."""
    call = _get(parse, after=after, types=types, agent_id=agent_id, limit=limit or _MOST, wait=_WAIT_SECONDS)
    pause = _FIRST_PAUSE_SECONDS
    while True:
        began = time.monotonic()
        try:
            page = yield from perform(call, credential, _ONCE)
        except (RateLimitedError, ServerError, ConnectionFailedError) as error:
            asked = (error.retry_after if isinstance(error, ApiError) else None) or 0.0
            # Jitter spreads the requests after an outage. It is not security-sensitive.
            seconds = max(pause * random.uniform(0.5, 1.0), asked)
            logger.warning("Events cannot be read: %s. Next attempt in %.0f seconds.", error, seconds)
            yield Sleep(seconds)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            continue
        if page.items or page.next > after:
            return page
        pause = _FIRST_PAUSE_SECONDS
        if time.monotonic() - began < _FIRST_PAUSE_SECONDS:
            yield Sleep(_FIRST_PAUSE_SECONDS)


def _get(
    parse: Callable[[Any], PageT], *, wait: int = 0, limit: int | None = None, **filters: object
) -> Call[PageT]:
    call = get("/events", parse, wait=wait or None, limit=limit, **filters)
    return replace(call, patience=float(wait))


def _joined(types: Iterable[str] | None) -> str | None:
    """Return the types as the API expects them. Raises TypeError for a text, whose letters would be types."""
    if isinstance(types, str):
        raise TypeError('types must be a list, such as ["consent.*"]')
    return None if types is None else ",".join(types)
