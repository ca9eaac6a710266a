"""One try of a delivery: the event is read from the log again, signed and sent (Standard Webhooks).

So what was erased meanwhile is not sent, and what the database lost in a restore is not sent either.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from standardwebhooks import Webhook as Signer

from audit.archiving.archived import ArchiveUnavailable, entries_at
from audit.readers.reading import read_entries
from core import clock
from core.fetching import TooManyFetches
from core.posting import Admit, NoAnswer, Poster
from events.payload import delivered, events_of
from events.schedule import Outstanding
from events.urls import reachable_by

# Of a whole try: lookup, connection, TLS, request and answer.
SECONDS = 10.0
MAX_ANSWER_BYTES = 2048
# The log has no such entry: the database was restored to an earlier moment.
NOT_IN_LOG = "not_in_log"
GONE = 410
# How long a try waits that could not be made, for a reason on our side. It does not count.
TARGET_BUSY, UNREADABLE = timedelta(seconds=1), timedelta(minutes=1)


class TargetBusy(Exception):
    """Too many tries at the same address are in flight."""


class Target(NamedTuple):
    """Where to send, and the secrets that sign, `whsec_…`: two during a rotation."""

    webhook_id: str
    organization_id: str
    url: str
    secrets: Sequence[str]


class Outcome(NamedTuple):
    """What became of a try: an answer, or the word of an error. A `postponed` one was not made and does not count."""

    status: int | None = None
    body: str = ""
    error: str = ""
    retry_after: str = ""
    duration_ms: int = 0
    postponed: timedelta | None = None

    @property
    def is_made(self) -> bool:
        """Return whether the try was made, and so says something about the receiver."""
        return self.postponed is None and self.error != NOT_IN_LOG

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def render(organization_id: str, deliveries: Sequence[Outstanding]) -> Mapping[str, bytes | None]:
    """Return the bodies by the ids of the deliveries. None if the log does not have the entry.

    Those that the archive has and cannot be read now are left out.
    """
    try:
        return _render(organization_id, deliveries)
    except ArchiveUnavailable:
        if len(deliveries) == 1:
            return {}
        return {name: body for one in deliveries for name, body in render(organization_id, [one]).items()}


async def send(poster: Poster, target: Target, event_id: str, body: bytes, admit: Admit) -> Outcome:
    """Send an event once. `admit` gets each address before it is connected to, and raises `TargetBusy`."""
    began = time.monotonic()
    try:
        answer = await poster.post(
            target.url,
            body,
            headers(target.secrets, event_id, body, clock.now()),
            seconds=SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
            may_reach=reachable_by(urlsplit(target.url).scheme),
            admit=admit,
        )
    except (TargetBusy, TooManyFetches):
        return Outcome(postponed=TARGET_BUSY)
    except NoAnswer as missing:
        return Outcome(error=missing.failure.value, duration_ms=_milliseconds_since(began))
    text = answer.content.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return Outcome(answer.status, text, "", answer.retry_after, _milliseconds_since(began))


def headers(secrets: Sequence[str], event_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers of a try: the id is the event's each time, the time is its own, and each secret signs."""
    text = body.decode()
    return {
        "content-type": "application/json",
        "user-agent": f"AgentGate/{settings.VERSION}",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(event_id, now, text) for secret in secrets),
    }


def _render(organization_id: str, deliveries: Sequence[Outstanding]) -> dict[str, bytes | None]:
    found = read_entries(entries_at([one.leaf_index for one in deliveries]))
    entries = {entry.id: entry for entry in found if organization_id in entry.organization_ids}
    there = [one for one in deliveries if one.entry_id in entries]
    events = events_of([(entries[one.entry_id], one.number) for one in there], organization_id)
    bodies = {one.id: delivered(event) for one, event in zip(there, events, strict=True)}
    return {one.id: bodies.get(one.id) for one in deliveries}


def _milliseconds_since(began: float) -> int:
    return round(1000 * (time.monotonic() - began))
