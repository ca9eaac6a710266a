"""A replay as the policy editor shows it: how many calls the draft would have decided differently."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import ngettext

from agents.selectors import agents_known_to
from core.formats import number
from core.text import plain_text
from decisions.whatif.replaying import Change, Place
from decisions.whatif.simulation import ReplayReport
from policies.rules import sentences
from policies.selectors import policies_for_organization
from web.wording.names import names_by_id

MAX_PLACES = 50


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """How often one rule changed decisions about one agent. `policy_name` is empty for a rule of the draft."""

    agent: str
    rule: str
    policy_name: str
    denied: int
    asked: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found, in sentences. `places_left_out` is the number of less frequent places."""

    days: int
    sentences: Sequence[str]
    places: Sequence[PlaceRow]
    places_left_out: int
    since: datetime | None
    until: datetime | None
    decisions: int
    is_truncated: bool


def describe_replay(
    report: ReplayReport, *, rules: Sequence[Mapping[str, Any]], organization_id: str, days: int
) -> Replayed:
    totals = report.totals
    frequent = sorted(totals.places, key=lambda place: -totals.places[place].total())
    found = {change: number for change, number in totals.changes.items() if number} or {Change.NEWLY_DENIED: 0}
    return Replayed(
        days=days,
        sentences=[
            *(_changed(change, found[change], totals.decisions) for change in Change if change in found),
            *([_undecided(undecided)] if (undecided := totals.gaps.total()) else []),
        ],
        places=_rows(frequent[:MAX_PLACES], totals.places, sentences(rules), organization_id),
        places_left_out=max(len(frequent) - MAX_PLACES, 0),
        since=totals.first,
        until=totals.last,
        decisions=totals.decisions,
        is_truncated=report.is_truncated,
    )


def _rows(
    places: Sequence[Place], counts: Mapping[Place, Counter[Change]], rules: Sequence[str], organization_id: str
) -> list[PlaceRow]:
    names = names_by_id(
        (agents_known_to(organization_id), (place.agent_id for place in places)),
        (policies_for_organization(organization_id), (place.policy_id for place in places)),
    )
    return [_row(place, counts[place], names, rules) for place in places]


def _row(place: Place, counts: Counter[Change], names: Mapping[str, str], rules: Sequence[str]) -> PlaceRow:
    is_own = place.policy_id is None and place.rule_index < len(rules)
    return PlaceRow(
        agent=names.get(place.agent_id, place.agent_id),
        rule=rules[place.rule_index] if is_own else plain_text(place.rule_type),
        policy_name=names.get(place.policy_id, place.policy_id) if place.policy_id else "",
        denied=counts[Change.NEWLY_DENIED],
        asked=counts[Change.NEWLY_ASKED],
        allowed=counts[Change.NEWLY_ALLOWED],
    )


def _changed(change: Change, changed: int, calls: int) -> str:
    words = {
        Change.NEWLY_DENIED: ngettext(
            "Would have denied %(number)s of %(total)s call.", "Would have denied %(number)s of %(total)s calls.", calls
        ),
        Change.NEWLY_ASKED: ngettext(
            "Would have asked the user about %(number)s of %(total)s call.",
            "Would have asked the user about %(number)s of %(total)s calls.",
            calls,
        ),
        Change.NEWLY_ALLOWED: ngettext(
            "Would have allowed %(number)s of %(total)s call that was denied.",
            "Would have allowed %(number)s of %(total)s calls that were denied.",
            calls,
        ),
    }
    return words[change] % {"number": number(changed), "total": number(calls)}


def _undecided(total: int) -> str:
    words = ngettext(
        "%(number)s call could not be decided, because the log does not have everything that a rule looks at.",
        "%(number)s calls could not be decided, because the log does not have everything that a rule looks at.",
        total,
    )
    return words % {"number": number(total)}
