"""Whether the server's own work is done: keys, the sequencer, the worker and its sweeps, in words for operators."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.joined import in_words
from administration.vitals import KeyState, Status, Worker, judge_key, judge_lag, look_at_worker
from audit.condition import lag_seconds
from core import clock
from core.administration import list_url, row_url
from core.models import TaskRun
from tokens import keys
from tokens.models import SigningKey

KINDS = {Status.OK: "good", Status.WARNING: "warn", Status.PROBLEM: "bad"}
KEYS: dict[KeyState, tuple[Status, Any]] = {
    KeyState.WELL: (Status.OK, gettext_lazy("%(algorithm)s.")),
    KeyState.OLD: (Status.WARNING, gettext_lazy("%(algorithm)s. Rotate it: it has signed for more than 90 days.")),
    KeyState.DAMAGED: (Status.PROBLEM, gettext_lazy("%(algorithm)s. It is damaged: rotate it.")),
}
# By the names in `overdue_rows`.
OVERDUE = {
    "access tokens": gettext_lazy("Access tokens: %(number)s"),
    "sessions": gettext_lazy("Browser sessions: %(number)s"),
    "idempotency records": gettext_lazy("Idempotency records: %(number)s"),
    "requests for consent": gettext_lazy("Requests for consent: %(number)s"),
}


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of health, with the page of what it is about. `kind` is "good", "warn" or "bad".

    `at` is when it ran last or, with `is_made`, when it was created.
    """

    title: str
    kind: str
    text: str
    at: datetime | None = None
    url: str = ""
    is_made: bool = False


def signs_of_health(overdue: Mapping[str, int]) -> list[Sign]:
    """Return the signs, in the order in which an operator looks at them. They take three or four queries.

    `overdue` is how many rows of each kind in `administration.vitals.overdue_rows` there are.
    """
    now = clock.now()
    worker = look_at_worker(now)
    return [_worker(worker), _sweeps(worker, overdue), _log(), *_keys(now)]


def _worker(worker: Worker) -> Sign:
    url = list_url(TaskRun)
    if worker.beat_at is None:
        return Sign(_("Worker"), "bad", _("No worker has run yet. Start one with ./dev worker."), url=url)
    text = _("Running.") if worker.is_alive else _("Silent. Expired rows are not deleted and mails are not sent.")
    return Sign(_("Worker"), "good" if worker.is_alive else "bad", text, worker.beat_at, url)


def _sweeps(worker: Worker, overdue: Mapping[str, int]) -> Sign:
    """Return the sign of the tasks other than the heartbeat, most of which are sweeps, and of what they left."""
    title, at, url = _("Sweeps"), worker.last_at, list_url(TaskRun)
    left = [str(OVERDUE[kind]) % {"number": in_words(number)} for kind, number in overdue.items() if number]
    if left:
        return Sign(title, "bad", _("Expired, and waiting for a sweep: %(rows)s.") % {"rows": ", ".join(left)}, at, url)
    if worker.failed:
        return Sign(title, "bad", _("Failed: %(names)s.") % {"names": ", ".join(worker.failed)}, at, url)
    if worker.late:
        return Sign(title, "warn", _("Late: %(names)s.") % {"names": ", ".join(worker.late)}, at, url)
    return Sign(title, "good" if at else "warn", _("On time.") if at else _("None has run yet."), at, url)


def _log() -> Sign:
    lag = timedelta(seconds=lag_seconds())
    text = _("The oldest waiting entry is %(seconds).1f seconds old.") % {"seconds": lag.total_seconds()}
    return Sign(_("Sequencer"), KINDS[judge_lag(lag)], text if lag else _("Nothing waits."))


def _keys(now: datetime) -> Iterator[Sign]:
    """Yield a sign for each key that signs, or will. Keys of a former JWT_SECRET count only if there are no others."""
    title, (rows, are_foreign) = _("Signing key"), keys.find_stored_keys(now)
    if not rows and are_foreign:
        yield Sign(title, "bad", _("This JWT_SECRET opens no stored key."), url=list_url(SigningKey))
    elif not rows:
        yield Sign(title, "good", _("None yet. The first token makes one."))
    for row in rows:
        status, text = KEYS[judge_key(row, now)]
        words, url = {"algorithm": row.algorithm}, row_url(SigningKey, row.pk)
        yield Sign(title, KINDS[status], text % words, row.created_at, url, is_made=True)
