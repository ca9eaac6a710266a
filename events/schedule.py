"""When a delivery is tried, and which of those that are due may be tried now. Pure: without database and clock."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from events.following import MAX_OUTSTANDING

# How long to wait after each try that failed. After the last one, the event has failed.
DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
# Up to this share is added, so that what failed together is not tried together.
JITTER = 0.1
LONGEST_RETRY_AFTER = timedelta(days=1)
# Of one worker: tries in flight, of an organization and of a webhook.
MAX_TRIES, MAX_TRIES_PER_ORGANIZATION, MAX_TRIES_PER_WEBHOOK = 64, 16, 4
# Of all webhooks together that are failing, have not accepted anything yet, or answered slowly a while ago. Each of the
# first two has one.
MAX_DOUBTFUL_TRIES = 32
# How many events a try may carry on with, one after the other, if each is accepted. So a round in the database is worth
# more than four tries of a busy webhook.
MAX_PER_TRIP = 25
SLOW, SLOW_FOR = timedelta(seconds=2), timedelta(minutes=10)


class Outstanding(NamedTuple):
    """A delivery that is tried at `due_at`. `attempt` is the number of tries before."""

    id: str
    webhook_id: str
    entry_id: str
    leaf_index: int
    number: int
    attempt: int
    due_at: datetime
    first_tried_at: datetime | None


@dataclass(slots=True)
class Queue:
    """What may be tried now of one webhook, oldest first. `is_doubtful`: it is failing, or has accepted nothing yet."""

    webhook_id: str
    organization_id: str
    is_doubtful: bool
    due: list[Outstanding]
    is_slow: bool = False

    @property
    def can_hang(self) -> bool:
        return self.is_doubtful or self.is_slow


@dataclass(slots=True)
class Load:
    """How many tries are in flight, by organization and by webhook, and of webhooks that can hang."""

    of_organizations: Counter[str] = field(default_factory=Counter)
    of_webhooks: Counter[str] = field(default_factory=Counter)
    hanging: int = 0

    def add(self, queue: Queue, number: int = 1) -> None:
        """Count a try that starts, or with -1 one that has ended."""
        self.of_organizations[queue.organization_id] += number
        self.of_webhooks[queue.webhook_id] += number
        self.hanging += number if queue.can_hang else 0

    def copy(self) -> "Load":
        return Load(self.of_organizations.copy(), self.of_webhooks.copy(), self.hanging)

    @property
    def total(self) -> int:
        return self.of_organizations.total()

    def permits(self, queue: Queue) -> bool:
        """Return whether another try of the webhook may start."""
        most = 1 if queue.is_doubtful else MAX_TRIES_PER_WEBHOOK
        return (
            self.total < MAX_TRIES
            and self.of_organizations[queue.organization_id] < MAX_TRIES_PER_ORGANIZATION
            and self.of_webhooks[queue.webhook_id] < most
            and (not queue.can_hang or self.hanging < MAX_DOUBTFUL_TRIES)
        )


def next_try(attempt: int, now: datetime, *, retry_after: str = "", share: float = 0.0) -> datetime | None:
    """Return when to try again after a number of tries that failed, or None after the last one.

    `share`, from 0 to 1, is how much of the jitter is added. The receiver can ask for a later try, up to a day.
    """
    if attempt > len(DELAYS):
        return None
    delay = DELAYS[attempt - 1] * (1 + JITTER * share)
    return now + max(delay, _asked(retry_after, now))


def is_blocked(outstanding: Sequence[Outstanding]) -> bool:
    """Return whether only the oldest is tried until one is accepted: no more are queued, and all were tried in vain."""
    return len(outstanding) >= MAX_OUTSTANDING and all(one.attempt for one in outstanding)


def due_now(outstanding: Sequence[Outstanding], now: datetime, in_flight: Collection[str] = ()) -> list[Outstanding]:
    """Return which of a webhook's deliveries, given oldest first, may be tried now."""
    triable = outstanding[:1] if is_blocked(outstanding) else outstanding
    return [one for one in triable if one.due_at <= now and one.id not in in_flight]


def next_due(outstanding: Sequence[Outstanding]) -> datetime | None:
    """Return when the first of a webhook's deliveries, given oldest first, may be tried. None without any."""
    triable = outstanding[:1] if is_blocked(outstanding) else outstanding
    return min((one.due_at for one in triable), default=None)


def take_turns(queues: Iterable[Queue], load: Load) -> list[tuple[Queue, Outstanding]]:
    """Return what to try now, and count it in `load`.

    The next turn is that of the organization with the fewest tries in flight, and of its webhook with the fewest.
    """
    started, waiting = [], [queue for queue in queues if queue.due]
    while waiting := [queue for queue in waiting if queue.due and load.permits(queue)]:
        queue = min(waiting, key=lambda one: _place(one, load))
        started.append((queue, queue.due.pop(0)))
        load.add(queue)
    return started


def trips(started: Iterable[tuple[Queue, Outstanding]]) -> list[tuple[Queue, list[Outstanding]]]:
    """Let each try be followed by others of its webhook, if more are due than may be in flight."""
    found = [(queue, [one]) for queue, one in started]
    for _ in range(MAX_PER_TRIP - 1):
        for queue, several in found:
            if queue.due and not queue.is_doubtful:
                several.append(queue.due.pop(0))
    return found


def _place(queue: Queue, load: Load) -> tuple[int, int]:
    return load.of_organizations[queue.organization_id], load.of_webhooks[queue.webhook_id]


def _asked(retry_after: str, now: datetime) -> timedelta:
    """Return how long the receiver asks to wait, in seconds or by a date (RFC 9110 section 10.2.3)."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text[:9]), LONGEST_RETRY_AFTER.total_seconds()))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return timedelta(0)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(aware - now, LONGEST_RETRY_AFTER)
