"""What is unhealthy: the doctor says it in a terminal, and the metrics to Prometheus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Min, QuerySet

from accounts.models import BrowserSession
from audit.condition import STUCK_SECONDS
from consent.models import Consent
from consent.statuses import ConsentStatus
from core import clock
from core.models import IdempotencyRecord, TaskRun
from server.heartbeat import HEARTBEAT_LIFETIME
from tokens import keys
from tokens.models import AccessToken, SigningKey
from tokens.services import KEEP_EXPIRED

HEARTBEAT = "server.tasks.record_heartbeat"
# By the name of each task of the schedule: when it runs.
SCHEDULED: Mapping[str, Any] = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
SLOW_LOG, STUCK_LOG = timedelta(seconds=5), timedelta(seconds=STUCK_SECONDS)
OLD_KEY = timedelta(days=90)
# A scheduled task is late after this many intervals, and one that runs daily after this time.
LATE_INTERVALS, LATE_DAILY = 5, timedelta(hours=26)
# How long an expired row may wait for its sweep, which runs each minute.
MAX_WAIT = timedelta(hours=1)


class Status(StrEnum):
    """How bad something is. `SKIPPED` says that nothing was checked, because there is nothing to check here."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    PROBLEM = "problem"


class KeyState(StrEnum):
    """How a signing key is. The last cannot sign."""

    WELL = "well"
    OLD = "old"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Worker:
    """What the worker's last runs say. `beat_at` is when beat and the worker last ran together, None for never.

    `failed` and `late` are the names of the other tasks of the schedule, and `last_at` is when one of these last began.
    """

    beat_at: datetime | None
    is_alive: bool
    failed: Sequence[str]
    late: Sequence[str]
    last_at: datetime | None


class Swept(NamedTuple):
    """Rows that a sweep deletes or ends `kept` after the time in the column `end`."""

    rows: QuerySet[Any]
    end: str
    kept: timedelta = timedelta(0)


def judge_lag(lag: timedelta) -> Status:
    """Judge for how long the oldest entry has waited for the sequencer."""
    if lag > STUCK_LOG:
        return Status.PROBLEM
    return Status.WARNING if lag > SLOW_LOG else Status.OK


def judge_key(key: SigningKey, now: datetime) -> KeyState:
    """Judge a key that is stored under this JWT_SECRET. With HS256, JWT_SECRET signs, and keys do not grow old."""
    if not keys.opens(key):
        return KeyState.DAMAGED
    is_old = settings.JWT_ALGORITHM != "HS256" and now - key.activates_at > OLD_KEY
    return KeyState.OLD if is_old else KeyState.WELL


def look_at_worker(now: datetime) -> Worker:
    """Return what the worker's runs say, wherever it runs. Runs of tasks that the schedule lacks say nothing."""
    runs = {run.name: run for run in TaskRun.objects.filter(name__in=SCHEDULED)}
    beat = runs.pop(HEARTBEAT, None)
    return Worker(
        beat_at=beat.started_at if beat else None,
        is_alive=beat is not None and now - beat.started_at < HEARTBEAT_LIFETIME,
        failed=sorted(name for name, run in runs.items() if run.error),
        late=sorted(name for name, run in runs.items() if now - run.started_at > _patience(SCHEDULED[name])),
        last_at=max((run.started_at for run in runs.values()), default=None),
    )


def count_overdue() -> dict[str, int]:
    """Return how many rows of each kind a sweep should have deleted or ended. Kinds without any are omitted."""
    due = clock.now() - MAX_WAIT
    rows = {kind: one.rows.filter(**{f"{one.end}__lt": due - one.kept}) for kind, one in _swept().items()}
    return {kind: number for kind, found in rows.items() if (number := found.count())}


def overdue_seconds(now: datetime) -> float:
    """Return for how many seconds the oldest expired row has waited for its sweep. Each is found by an index."""
    ends = ((one.rows.aggregate(end=Min(one.end))["end"], one.kept) for one in _swept().values())
    return max((0.0, *((now - end - kept).total_seconds() for end, kept in ends if end)))


def _swept() -> Mapping[str, Swept]:
    return {
        "access tokens": Swept(AccessToken.objects.all(), "expires", KEEP_EXPIRED),
        "sessions": Swept(BrowserSession.objects.all(), "expire_date"),
        "idempotency records": Swept(IdempotencyRecord.objects.all(), "expires_at"),
        "requests for consent": Swept(Consent.objects.filter(status=ConsentStatus.PENDING), "expires_at"),
    }


def _patience(interval: Any) -> timedelta:
    """Return after how long a task is late. `interval` is in seconds, or a schedule of the days."""
    return (
        timedelta(seconds=interval * LATE_INTERVALS) + HEARTBEAT_LIFETIME if isinstance(interval, float) else LATE_DAILY
    )
