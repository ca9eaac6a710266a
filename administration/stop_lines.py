"""Stops in the admin site, in lines of text: its impact, and what the log says about it afterwards."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from administration.actions import CONNECTED_USERS, counted
from audit.proof.stops import Level, StopProof, prove_stop
from audit.readers.snapshot import Snapshot, take_snapshot
from core import clock
from developers.impact import Impact, total

# The impact on a row takes a few queries of the log.
MAX_COUNTED = 20
CONNECTIONS = ngettext_lazy("%(number)d live connection", "%(number)d live connections", "number")
FAMILIES = ngettext_lazy("%(number)d live token family", "%(number)d live token families", "number")
REQUESTS = ngettext_lazy("%(number)d request", "%(number)d requests", "number")


def lines_of_rows(ids: Sequence[str], count: Callable[[str, datetime, Snapshot], Impact]) -> list[str]:
    """Return the impact of a stop of these rows, together. Many rows are not counted.

    A user of several rows counts for each. If all have one connection, only the connections are said.
    """
    if len(ids) > MAX_COUNTED:
        text = _("Select at most %(most)d to see what they were allowed in the last 24 hours.")
        return [text % {"most": MAX_COUNTED}]
    now, log = clock.now(), take_snapshot()
    impact = total([count(one, now, log) for one in ids])
    users = [] if impact.users == impact.connections else [counted(impact.users or 0, CONNECTED_USERS)]
    return [*users, *lines_of_impact(impact)]


def lines_of_impact(impact: Impact) -> list[str]:
    last = f"{impact.last_allowed_at:%Y-%m-%d %H:%M:%S} UTC" if impact.last_allowed_at else _("never")
    allowed = {"requests": counted(impact.allowed_last_day, REQUESTS), "last": last}
    return [
        counted(impact.connections, CONNECTIONS),
        counted(impact.live_tokens, FAMILIES),
        _("%(requests)s allowed in the last 24 hours, the last: %(last)s") % allowed,
    ]


def lines_of_proof(level: Level, log: Snapshot | None = None) -> list[str]:
    """Return what the log says about the newest stop at this level. Return no lines if there was none."""
    proof = prove_stop(level, log)
    return [] if proof is None else _describe(proof)


def _describe(proof: StopProof) -> list[str]:
    last = proof.last_allowed
    before = f"{last.id}, {_moment(last.timestamp)}, {_place(last.index)}" if last else _("none")
    until = _moment(proof.lifted_at) if proof.lifted_at else _("now")
    entry = f"{proof.entry_id}, {_place(proof.index)}"
    after = {"until": until, "number": proof.allowed_after}
    return [
        _("In force since %(time)s: %(entry)s") % {"time": _moment(proof.stopped_at), "entry": entry},
        _("Last allowed decision before it: %(entry)s") % {"entry": before},
        _("Allowed decisions after it, until %(until)s: %(number)d") % after,
    ]


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _place(index: int | None) -> str:
    if index is None:
        return _("waiting in the journal")
    return _("index %(number)d in the log") % {"number": index}
