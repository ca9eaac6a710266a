"""Whether the server's own work is done: keys, the sequencer, the worker and its sweeps."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from agentgate.schedule import SCHEDULE
from audit.readers.snapshot import Snapshot
from core import clock
from core.models import TaskRun
from tokens.models import SigningKey

# A worker runs the heartbeat every 20 seconds.
SILENCE = timedelta(seconds=90)
SLOW_LOG_SECONDS = 5.0
OLD_KEY = timedelta(days=365)
HEARTBEAT = "agentgate.tasks.record_heartbeat"
# A task of the schedule is late after so many intervals, and one that runs daily after so long.
LATE_INTERVALS, LATE_DAILY = 5, timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of health. `kind` is "good", "warn" or "bad"."""

    title: str
    kind: str
    text: str
    at: datetime | None = None


def signs_of_health(log: Snapshot) -> list[Sign]:
    """Return the signs, in the order in which an operator looks at them. They take two queries."""
    now, runs = clock.now(), {run.name: run for run in TaskRun.objects.all()}
    return [_worker(now, runs), _sweeps(now, runs), _log(now, log), *_keys(now)]


def _worker(now: datetime, runs: dict[str, TaskRun]) -> Sign:
    beat = runs.get(HEARTBEAT)
    if beat is None:
        return Sign(_("Worker"), "bad", _("No worker has run yet. Start one with ./dev worker."))
    is_alive = now - beat.started_at < SILENCE
    text = _("Running.") if is_alive else _("Silent. Expired rows are not deleted and mails are not sent.")
    return Sign(_("Worker"), "good" if is_alive else "bad", text, beat.started_at)


def _sweeps(now: datetime, runs: dict[str, TaskRun]) -> Sign:
    """Return the sign of the tasks other than the heartbeat, most of which are sweeps."""
    known = [run for name, run in runs.items() if name != HEARTBEAT]
    failed = sorted(run.name for run in known if run.error)
    late = sorted(run.name for run in known if now - run.started_at > _patience(run.name))
    last = max((run.started_at for run in known), default=None)
    if failed:
        return Sign(_("Sweeps"), "bad", _("Failed: %(names)s.") % {"names": ", ".join(failed)}, last)
    if late:
        return Sign(_("Sweeps"), "warn", _("Late: %(names)s.") % {"names": ", ".join(late)}, last)
    return Sign(_("Sweeps"), "good" if known else "warn", _("On time.") if known else _("None has run yet."), last)


def _patience(name: str) -> timedelta:
    for entry in SCHEDULE.values():
        if entry["task"] == name and isinstance(entry["schedule"], float):
            return timedelta(seconds=entry["schedule"] * LATE_INTERVALS + SILENCE.total_seconds())
    return LATE_DAILY


def _log(now: datetime, log: Snapshot) -> Sign:
    oldest = log.waiting[-1][1].timestamp if log.waiting else now
    lag = max(0.0, (now - oldest).total_seconds())
    text = _("The oldest waiting entry is %(seconds).1f seconds old.") % {"seconds": lag}
    return Sign(_("Sequencer"), "good" if lag < SLOW_LOG_SECONDS else "bad", text if lag else _("Nothing waits."))


def _keys(now: datetime) -> Iterator[Sign]:
    """Yield a sign for each key that signs, or will."""
    keys = list(SigningKey.objects.filter(retires_at=None).order_by("-created_at"))
    if not keys:
        yield Sign(_("Signing key"), "warn", _("None yet. The first token makes one."))
    for key in keys:
        is_old = now - key.created_at > OLD_KEY
        text = _("%(algorithm)s. Rotate it: it is more than a year old.") if is_old else _("%(algorithm)s.")
        words: Any = {"algorithm": key.algorithm}
        yield Sign(_("Signing key"), "warn" if is_old else "good", text % words, key.created_at)
