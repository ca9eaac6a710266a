"""A backtest as its page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import ngettext

from agents.selectors import agents_known_to
from audit.events import Event
from core.text import plain_text
from decisions.whatif.replaying import Change, Gap
from policies.models import Backtest
from policies.rules import sentences
from policies.selectors import policies_for_organization
from web.display.formats import number
from web.portal.policies.shares import SHOWN, Count, log_url, share
from web.wording.names import names_by_id

DENIED = Change.NEWLY_DENIED


@dataclass(frozen=True, slots=True)
class Finding:
    """How many calls the draft would have decided differently. `indexes` are their first entries, if they are shown.

    `place` is the row of the table to which they are limited, or None.
    """

    name: str
    total: int
    sentence: str
    is_shown: bool
    indexes: Sequence[int]
    place: "PlaceRow | None" = None


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """How often one rule changed decisions about one agent. `policy_name` is empty for a rule of the draft."""

    agent: str
    rule: str
    policy_name: str
    denied: Count
    asked: Count
    allowed: Count


@dataclass(frozen=True, slots=True)
class Result:
    """What a backtest found. `url` leads to all calls that it decided, `places_left_out` are the rarer ones."""

    findings: Sequence[Finding]
    places: Sequence[PlaceRow]
    gaps: Sequence[str]
    since: datetime | None
    until: datetime | None
    decisions: int
    is_truncated: bool
    places_left_out: int
    url: str


def headline(backtest: Backtest) -> str:
    """Return how many calls the draft would have denied, in words."""
    return _finding(backtest.report, DENIED).sentence


def describe_backtest(backtest: Backtest) -> Result:
    report, places = backtest.report, _places(backtest)
    findings = [_finding(report, change) for change in SHOWN]
    since, until = _moment(report["from"]), _moment(report["to"])
    return Result(
        findings=[one for one in findings if one.total or one.name == SHOWN[DENIED]],
        places=places,
        gaps=[_gap(Gap(gap), total) for gap, total in report["undecided"].items() if total],
        since=since,
        until=until,
        decisions=report["decisions"],
        is_truncated=report["isTruncated"],
        places_left_out=max(report.get("allPlaces", 0) - len(places), 0),
        url=log_url(Event.TOKEN_VERIFY, since, until + timedelta(microseconds=1)) if since and until else "",
    )


def find_calls(backtest: Backtest, result: Result, name: str, place: int | None) -> Finding | None:
    """Return what to list: a finding, of one row of the table if `place` is its number. None if it is not shown."""
    found = next((one for one in result.findings if one.name == name and one.is_shown and one.total), None)
    if found is None or place is None:
        return found
    row = result.places[place] if place < len(result.places) else None
    total = getattr(row, name).number if row else 0
    if not total:
        return None
    indexes = backtest.report["places"][place].get("found", {}).get(_change(name).value, ())
    return replace(found, total=total, indexes=indexes, place=row)


def _finding(report: Mapping[str, Any], change: Change) -> Finding:
    total, found = report["changes"][change.value], report["found"].get(change.value)
    return Finding(SHOWN[change], total, share(change, total, report["decisions"]), found is not None, found or ())


def _places(backtest: Backtest) -> list[PlaceRow]:
    places, organization_id = backtest.report["places"], backtest.organization_id
    names = names_by_id(
        (agents_known_to(organization_id), (place["agentId"] for place in places)),
        (policies_for_organization(organization_id), (place["policyId"] for place in places)),
    )
    rules = sentences(backtest.content["rules"])
    return [_place(number, place, names, rules) for number, place in enumerate(places)]


def _place(number: int, place: Mapping[str, Any], names: Mapping[str, str], rules: Sequence[str]) -> PlaceRow:
    index, policy_id = place["ruleIndex"], place["policyId"]
    is_own = policy_id is None and index < len(rules)
    counts = {name: _count(number, place, change) for change, name in SHOWN.items()}
    return PlaceRow(
        agent=names.get(place["agentId"], place["agentId"]),
        rule=rules[index] if is_own else plain_text(place["ruleType"]),
        policy_name=names.get(policy_id, policy_id) if policy_id else "",
        **counts,
    )


def _count(number: int, place: Mapping[str, Any], change: Change) -> Count:
    # Reports from before places had their calls are kept for some days.
    is_shown = change.value in place.get("found", ())
    return Count(place[change.value], f"?show={SHOWN[change]}&place={number}#calls" if is_shown else "")


def _change(name: str) -> Change:
    return next(change for change, shown in SHOWN.items() if shown == name)


def _gap(gap: Gap, total: int) -> str:
    words = {
        Gap.TRUNCATED: ngettext(
            "%(number)s call could not be decided, because the log has only the beginning of its context.",
            "%(number)s calls could not be decided, because the log has only the beginning of their contexts.",
            total,
        ),
        Gap.ERASED: ngettext(
            "%(number)s call could not be decided, because its personal data was erased.",
            "%(number)s calls could not be decided, because their personal data was erased.",
            total,
        ),
        Gap.HIDDEN: ngettext(
            "%(number)s call could not be decided, because the address of another organization's agent is hidden.",
            "%(number)s calls could not be decided, because the addresses of other organizations' agents are hidden.",
            total,
        ),
    }
    return words[gap] % {"number": number(total)}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
