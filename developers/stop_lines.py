"""Stops in the admin site, in lines of text: what one hits, and what the log says about it afterwards."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from audit.proof.stops import Level, StopProof, prove_stop
from audit.readers.snapshot import Snapshot, take_snapshot
from core import clock
from core.admin_words import CONNECTED_USERS
from core.administration import counted
from developers.hits import Hits, total

# What a row hits takes a few queries of the log.
MAX_COUNTED = 20
CONNECTIONS = ngettext_lazy("%(number)d live connection", "%(number)d live connections", "number")
FAMILIES = ngettext_lazy("%(number)d live token family", "%(number)d live token families", "number")
REQUESTS = ngettext_lazy("%(number)d request", "%(number)d requests", "number")


def lines_of_rows(ids: Sequence[str], count: Callable[[str, datetime, Snapshot], Hits]) -> list[str]:
    """Return what a stop of these rows hits, together. Many rows are not counted.

    A user of several rows counts for each.
    """
    if len(ids) > MAX_COUNTED:
        text = _("Select at most %(most)d to see what they were allowed in the last 24 hours.")
        return [text % {"most": MAX_COUNTED}]
    now, log = clock.now(), take_snapshot()
    hits = total([count(one, now, log) for one in ids])
    return [counted(hits.users or 0, CONNECTED_USERS), *lines_of_hits(hits)]


def lines_of_hits(hits: Hits) -> list[str]:
    last = f"{hits.last_allowed_at:%Y-%m-%d %H:%M:%S} UTC" if hits.last_allowed_at else _("never")
    allowed = {"requests": counted(hits.allowed_last_day, REQUESTS), "last": last}
    return [
        counted(hits.connections, CONNECTIONS),
        counted(hits.live_tokens, FAMILIES),
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
