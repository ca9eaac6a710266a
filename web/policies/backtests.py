"""A backtest as its page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import ngettext

from agents.selectors import agents_known_to
from core.text import plain_text
from decisions.replaying import Change, Gap
from policies.models import Backtest
from policies.rules import sentences
from policies.selectors import policies_for_organization
from web.formats import number
from web.names import names_by_id

DENIED, ASKED, ALLOWED = Change.NEWLY_DENIED, Change.NEWLY_ASKED, Change.NEWLY_ALLOWED
SHOWN = {DENIED: "denied", ASKED: "asked", ALLOWED: "allowed"}


@dataclass(frozen=True, slots=True)
class Finding:
    """How many calls the draft would have decided differently. `indexes` are their first entries, if they are shown."""

    name: str
    total: int
    sentence: str
    is_shown: bool
    indexes: Sequence[int]


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
class Result:
    """What a backtest found."""

    findings: Sequence[Finding]
    places: Sequence[PlaceRow]
    gaps: Sequence[str]
    since: datetime | None
    until: datetime | None
    decisions: int
    is_truncated: bool

    def finding(self, name: str) -> Finding | None:
        """Return the finding with this name, if its entries are shown."""
        return next((one for one in self.findings if one.name == name and one.is_shown and one.total), None)


def headline(backtest: Backtest) -> str:
    """Return how many calls the draft would have denied, in words."""
    return _finding(backtest.report, DENIED).sentence


def describe_backtest(backtest: Backtest) -> Result:
    report = backtest.report
    findings = [_finding(report, change) for change in SHOWN]
    return Result(
        findings=[one for one in findings if one.total or one.name == SHOWN[DENIED]],
        places=_places(backtest),
        gaps=[_gap(Gap(gap), total) for gap, total in report["undecided"].items() if total],
        since=_moment(report["from"]),
        until=_moment(report["to"]),
        decisions=report["decisions"],
        is_truncated=report["isTruncated"],
    )


def _finding(report: Mapping[str, Any], change: Change) -> Finding:
    total, found = report["changes"][change.value], report["found"].get(change.value)
    words = {"number": number(total), "total": number(report["decisions"])}
    sentence = _sentence(change, report["decisions"]) % words
    return Finding(SHOWN[change], total, sentence, found is not None, found or ())


def _sentence(change: Change, decisions: int) -> str:
    if change is DENIED:
        return ngettext(
            "Would have denied %(number)s of %(total)s call",
            "Would have denied %(number)s of %(total)s calls",
            decisions,
        )
    if change is ASKED:
        return ngettext(
            "Would have asked the user about %(number)s of %(total)s call",
            "Would have asked the user about %(number)s of %(total)s calls",
            decisions,
        )
    return ngettext(
        "Would have allowed %(number)s of %(total)s call that was denied",
        "Would have allowed %(number)s of %(total)s calls that were denied",
        decisions,
    )


def _places(backtest: Backtest) -> list[PlaceRow]:
    places, organization_id = backtest.report["places"], backtest.organization_id
    names = names_by_id(
        (agents_known_to(organization_id), (place["agentId"] for place in places)),
        (policies_for_organization(organization_id), (place["policyId"] for place in places)),
    )
    rules = sentences(backtest.content["rules"])
    return [_place(place, names, rules) for place in places]


def _place(place: Mapping[str, Any], names: Mapping[str, str], rules: Sequence[str]) -> PlaceRow:
    index, policy_id = place["ruleIndex"], place["policyId"]
    is_own = policy_id is None and index < len(rules)
    return PlaceRow(
        agent=names.get(place["agentId"], place["agentId"]),
        rule=rules[index] if is_own else plain_text(place["ruleType"]),
        policy_name=names.get(policy_id, policy_id) if policy_id else "",
        denied=place[DENIED.value],
        asked=place[ASKED.value],
        allowed=place[ALLOWED.value],
    )


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
