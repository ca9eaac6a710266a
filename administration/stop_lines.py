"""Stops in the admin site, in lines of text: its impact, and what the log says about it afterwards."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy

from administration.actions import counted
from audit.proof.stops import Level, StopProof, prove_stop
from audit.readers.snapshot import Snapshot, take_snapshot
from core import clock
from core.formats import relative
from developers.impact import Impact, total

# The impact on a row takes a few queries of the log.
MAX_COUNTED = 20
# About people, and about connections.
STOPPED = (
    ngettext_lazy("%(number)d person is cut off at once.", "%(number)d people are cut off at once.", "number"),
    ngettext_lazy("%(number)d connection stops at once.", "%(number)d connections stop at once.", "number"),
)
DELEGATIONS = ngettext_lazy(
    "%(number)d delegation to other agents is concerned, too.",
    "%(number)d delegations to other agents are concerned, too.",
    "number",
)
LIFTED = (
    ngettext_lazy("%(number)d person gets access back.", "%(number)d people get access back.", "number"),
    ngettext_lazy("%(number)d connection works again.", "%(number)d connections work again.", "number"),
)


def lines_of_rows(
    ids: Sequence[str], count: Callable[[str, datetime, Snapshot], Impact], words: tuple[Any, Any] = STOPPED
) -> list[str]:
    """Return the impact of a stop of these rows, together. Many rows are not counted.

    A user of several rows counts for each, so the users of several are not said.
    """
    if len(ids) > MAX_COUNTED:
        text = _("Select at most %(most)d to see what they were allowed in the last 24 hours.")
        return [text % {"most": MAX_COUNTED}]
    now, log = clock.now(), take_snapshot()
    impact = total([count(one, now, log) for one in ids])
    return lines_of_impact(impact if len(ids) == 1 else replace(impact, users=None), words)


def lines_of_impact(impact: Impact, words: tuple[Any, Any] = STOPPED) -> list[str]:
    """Return whom a stop, or the end of one, affects, and what it would have denied."""
    number, (people, connections) = impact.connections, words
    said = people if impact.users == number else connections
    handed = [counted(impact.delegations, DELEGATIONS)] if impact.delegations else []
    return [counted(number, said) if number else _("No user is connected."), *handed, _use(impact)]


def _use(impact: Impact) -> str:
    if impact.last_allowed_at is None:
        return _("No request was ever allowed.")
    allowed, last = impact.allowed_last_day, {"ago": relative(impact.last_allowed_at)}
    if not allowed:
        return _("No request was allowed in the last 24 hours. The last one was %(ago)s.") % last
    words = ngettext(
        "%(number)d request was allowed in the last 24 hours, %(ago)s.",
        "%(number)d requests were allowed in the last 24 hours, the last one %(ago)s.",
        allowed,
    )
    return words % {"number": allowed, **last}


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
