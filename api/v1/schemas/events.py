"""Events of an organization, as JSON and as a stream for `EventSource`."""

from typing import Any

import orjson
from pydantic import Field

from api.v1.schemas.approvals import MAX_WAIT_SECONDS
from api.v1.schemas.audit import AuditEntryOut, EventName, WrittenMoment
from api.v1.schemas.base import Omittable, Out, Query, Text
from api.v1.schemas.pages import DEFAULT_LIMIT, MAX_LIMIT
from events.feed import FeedPage
from events.types import MAX_TYPES, checked_types

MAX_NUMBER = 10**18 - 1
LONGEST_TYPE = 64
AFTER = "The number of the last event that you have, or 0 to begin with the first event."
TYPES = "Event types and patterns, separated by commas: `consent.*,token.replayed`."
WAIT = "For how many seconds to wait if there are no more events. With `text/event-stream`, 30 unless it is given."
# After how many milliseconds a client resumes: at once if there is more.
RESUME, RESUME_SOON = 1000, 50


class FeedQuery(Query):
    """Where to begin, which events, and how long to wait for them."""

    # Query parameters are strings.
    after: int = Field(0, ge=0, le=MAX_NUMBER, strict=False, description=AFTER)
    types: Omittable[Text] = Field(None, max_length=MAX_TYPES * (LONGEST_TYPE + 1), description=TYPES)
    agent_id: Omittable[Text] = Field(None, max_length=128)
    wait: Omittable[int] = Field(None, ge=0, le=MAX_WAIT_SECONDS, strict=False, description=WAIT)
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, strict=False)

    def checked_types(self) -> list[str] | None:
        """Return the types and patterns, or None for all. Raises `Invalid`."""
        return None if self.types is None else checked_types(self.types.split(","))


class EventStreamOut(Out):
    """The organization, and the number of the event in its stream. Numbers have no gaps."""

    id: str
    number: int


class EventOut(Out):
    """An event. Its `id` is that of the log entry, and `data` the entry as `GET /audit` shows it."""

    id: str
    type: EventName
    timestamp: WrittenMoment
    stream: EventStreamOut
    data: AuditEntryOut


class FeedOut(Out):
    """Events in the order of their numbers. `next` is the `after` of the next request."""

    items: list[EventOut]
    next: int


def show_feed(page: FeedPage) -> FeedOut:
    return FeedOut(items=[EventOut.model_validate(event) for event in page.events], next=page.next)


def as_event_stream(body: dict[str, Any], *, is_last: bool) -> bytes:
    """Return the same as `text/event-stream`. The client resumes after the last id, so filters lose no progress."""
    lines = b"".join(_message(event) for event in body["items"]) or b": There are no new events.\n\n"
    return b"retry: %d\n\n%bid: %d\n\n" % (RESUME if is_last else RESUME_SOON, lines, body["next"])


def _message(event: dict[str, Any]) -> bytes:
    number, event_type = event["stream"]["number"], event["type"].encode()
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, event_type, orjson.dumps(event))
