"""The condition of the log: how late it is, which rows of the journal are damaged, which witnesses refuse."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.db.models import QuerySet

from audit.entries.journal import DamagedRowError, decode, read
from audit.models import Entry, Journal, WitnessFailure
from audit.sequencing.log import newest
from audit.signing import checkpoints
from core import clock

# The age of the oldest entry at which the log counts as stuck. Until then it may be late.
STUCK_SECONDS = 60.0
# The sequencer takes up a row within a second, so one that is older may be damaged.
GRACE_SECONDS = 5.0
# If there are more damaged rows, only these are counted.
MAX_DAMAGED = 100
# How many rows that can be logged the search passes over. They wait at most a second while the sequencer runs.
MAX_PASSED = 200
Reason = Literal["log_stuck", "log_damaged", "witness_refuses"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wrong with the log, if anything.

    `lag_seconds` is for how long the oldest entry that can be logged has waited, and `uncovered_seconds` for how long
    the oldest one that no checkpoint covers. `damaged_rows` stay in the journal.
    """

    lag_seconds: float = 0.0
    uncovered_seconds: float = 0.0
    damaged_rows: int = 0
    refusing: Sequence[str] = ()

    @property
    def reasons(self) -> list[Reason]:
        """Return what an operator must look at, as codes."""
        is_stuck = max(self.lag_seconds, self.uncovered_seconds) > STUCK_SECONDS
        found: dict[Reason, bool] = {
            "log_stuck": is_stuck,
            "log_damaged": self.damaged_rows > 0,
            "witness_refuses": bool(self.refusing),
        }
        return [name for name, is_so in found.items() if is_so]


def look() -> Condition:
    """Return the condition, whichever process runs the sequencer. It takes a few short queries."""
    waiting = _Waiting(GRACE_SECONDS)
    refusing = witness_failures().filter(is_refusal=True).values_list("witness", flat=True)
    return Condition(waiting.lag_seconds, _uncovered_seconds(), len(waiting.damaged), list(refusing))


def witness_failures() -> QuerySet[WitnessFailure]:
    """Return the failures of the witnesses in `AUDIT_WITNESSES`. Others are no longer asked, so theirs stay."""
    urls = [text.partition("#")[0].rstrip("/") for text in settings.AUDIT_WITNESSES]
    return WitnessFailure.objects.filter(witness__in=urls).order_by("witness")


def lag_seconds() -> float:
    """Return for how many seconds the oldest row of the journal has waited that can be logged, or 0 without one."""
    return _Waiting(GRACE_SECONDS).lag_seconds


def damaged_rows() -> list[int]:
    """Return the ids of the damaged rows, however new they are, at most `MAX_DAMAGED`."""
    return _Waiting(0.0, MAX_PASSED).damaged


def warn_of_damage(text: str) -> str:
    """Return a text about what the log does not have, with a warning if that is not certain."""
    damaged = len(damaged_rows())
    return f"{text} {damaged} damaged rows of the journal are not in the log: it may be in one." if damaged else text


class _Waiting:
    """The damaged rows that are older than `grace` seconds, and the age of the first row that can be logged.

    It passes over at most `most_passed` of the latter.
    """

    def __init__(self, grace: float, most_passed: int = 0) -> None:
        self.damaged: list[int] = []
        ages: list[float] = []
        for row_id, written_at in _oldest():
            age = _seconds_since(written_at)
            if age >= grace and len(self.damaged) < MAX_DAMAGED and is_damaged(row_id):
                self.damaged.append(row_id)
                continue
            ages.append(age)
            if len(ages) > most_passed or len(self.damaged) == MAX_DAMAGED:
                break
        self.lag_seconds = ages[0] if ages else 0.0


def _oldest() -> Iterator[tuple[int, datetime]]:
    """Yield the id and the time of each row, oldest first, one query per row: usually the first ends the search."""
    row_id = 0
    while found := Journal.objects.filter(pk__gt=row_id).order_by("pk").values_list("pk", "written_at").first():
        yield found
        row_id = found[0]


def is_damaged(row_id: int) -> bool:
    """Return whether a row cannot be moved into the log as a whole, or was logged entry by entry for that reason."""
    body = Journal.objects.filter(pk=row_id).values_list("body", flat=True).first()
    if body is None:
        return False  # it was moved meanwhile
    try:
        entries = [read(entry) for entry in decode(body)]
    except (DamagedRowError, ValueError):
        return True
    is_logged = Entry.objects.filter(pk__in=[entry.id for entry in entries[:1]]).exists()
    return is_logged and Journal.objects.filter(pk=row_id).exists()


def _uncovered_seconds() -> float:
    covered = checkpoints.size()
    if newest().size <= covered:
        return 0.0
    timestamp = Entry.objects.filter(leaf_index=covered).values_list("timestamp", flat=True).first()
    return _seconds_since(timestamp) if timestamp else 0.0


def _seconds_since(moment: datetime) -> float:
    return max(0.0, (clock.now() - moment).total_seconds())
