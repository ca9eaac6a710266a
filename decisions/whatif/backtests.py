"""Backtests: replays of drafts. Their reports are kept for some days, so that their pages have URLs (docs/adr/0052)."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from core import clock
from core.errors import NotFound
from core.sweeps import delete_batch
from decisions.whatif.replaying import Change, Place, Totals
from decisions.whatif.simulation import ReplayReport, Simulated, replay_decisions, require_valid
from limits.throttle import Subject, Throttle
from policies.models import Backtest, Policy
from policies.rules.parsing import readable_rules
from policies.selectors import policies_for_organization
from policies.versions import content_of

KEPT = timedelta(days=7)
MOST_PER_ORGANIZATION = 50
# The developer waits for the page.
MOST_SECONDS = 10.0
MAX_PLACES = 50


def run_backtest(*, draft: Policy, replaces: Policy | None, days: int, based_on: int | None = None) -> Backtest:
    """Replay the calls of the last days with the draft, which need not be saved, and keep the report.

    `based_on` is the number of the version that the draft was made from. Default: the current one.
    A backtest changes no policy, so it has no entry in the audit log. Raises `InvalidRules`, `Throttled` and
    `OtherReplay`.
    """
    organization_id = draft.organization_id
    require_valid(draft.rules, organization_id=organization_id)
    Throttle("replay", settings.THROTTLE_REPLAY).hit(Subject(f"organization:{organization_id}"))
    simulated = Simulated(draft.name, draft.agent_id, draft.rules, replaces)
    report = replay_decisions(simulated, organization_id=organization_id, days=days, most_seconds=MOST_SECONDS)
    shown = shown_changes(draft, replaces)
    backtest = Backtest.objects.create(
        organization_id=organization_id,
        policy=replaces,
        version=(replaces.version if based_on is None else based_on) if replaces else None,
        content=content_of(draft),
        days=days,
        report=_describe(report, shown),
        created_at=clock.now(),
    )
    _forget_oldest(organization_id)
    return backtest


def backtest_for_organization(organization_id: str, backtest_id: str) -> Backtest:
    """Return a backtest of the organization with its policy. Raises `NotFound`, also if it is older than `KEPT`."""
    rows = Backtest.objects.select_related("policy__agent").filter(organization_id=organization_id)
    found = rows.filter(pk=backtest_id, created_at__gt=clock.now() - KEPT).first()
    if found is None:
        raise NotFound("No such backtest.")
    return found


def shown_changes(draft: Policy, replaces: Policy | None) -> frozenset[Change]:
    """Return the changes whose entries developers may see: those that say nothing about the context of a call.

    What is newly denied depends on the draft only, what is newly allowed on the organization's other policies, too.
    """
    if _reads_context([draft.rules]):
        return frozenset()
    if replaces is None:
        return frozenset(Change)
    others = policies_for_organization(draft.organization_id).filter(enabled=True).exclude(pk=replaces.pk)
    is_hidden = _reads_context(others.values_list("rules", flat=True))
    return frozenset({Change.NEWLY_DENIED}) if is_hidden else frozenset(Change)


def delete_old_backtests(now: datetime, *, limit: int) -> int:
    return delete_batch(Backtest.objects.filter(created_at__lte=now - KEPT).order_by("created_at"), limit=limit)


def _reads_context(stored: Iterable[Any]) -> bool:
    return any(rule.reads_context for rules in stored for rule in readable_rules(rules))


def _describe(report: ReplayReport, shown: frozenset[Change]) -> dict[str, Any]:
    """Return the report as it is stored. `found` has the indexes in the log of what is shown, in all and per place."""
    totals = report.totals
    return {
        "from": totals.first.isoformat() if totals.first else None,
        "to": totals.last.isoformat() if totals.last else None,
        "decisions": totals.decisions,
        "changes": {change.value: totals.changes[change] for change in Change},
        "undecided": {gap.value: number for gap, number in totals.gaps.items()},
        "places": [_place(place, totals, shown) for place in _most_frequent(totals.places)],
        "allPlaces": len(totals.places),
        "found": {change.value: totals.first_found(change) for change in Change if change in shown},
        "isTruncated": report.is_truncated,
    }


def _most_frequent(places: Mapping[Place, Any]) -> list[Place]:
    return sorted(places, key=lambda place: -places[place].total())[:MAX_PLACES]


def _place(place: Place, totals: Totals, shown: frozenset[Change]) -> dict[str, Any]:
    return {
        "agentId": place.agent_id,
        "policyId": place.policy_id,
        "ruleType": place.rule_type,
        "ruleIndex": place.rule_index,
        **{change.value: totals.places[place][change] for change in Change},
        "found": {change.value: totals.found[change].get(place, []) for change in totals.found if change in shown},
    }


def _forget_oldest(organization_id: str) -> None:
    rows = Backtest.objects.filter(organization_id=organization_id).order_by("-id")
    oldest = list(rows.values_list("pk", flat=True)[MOST_PER_ORGANIZATION : MOST_PER_ORGANIZATION + 100])
    Backtest.objects.filter(pk__in=oldest).delete()
