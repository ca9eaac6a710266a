"""What policies say about a request, worded for the editor."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from core.formats import duration
from core.text import plain_text
from core.validation import did_you_mean
from core.wording import Filled, translated
from decisions.whatif.simulation import Simulated, Simulation
from policies.actions import unknown_scopes
from policies.engine import Outcome
from policies.rules import sentences
from web.requests.portal import portal_url

OUTCOMES: Mapping[Outcome, Any] = {
    Outcome.PASSED: _("Allows"),
    Outcome.DENIED: _("Denies"),
    Outcome.ASKED: _("Asks the user"),
    Outcome.NOT_CONCERNED: _("Not concerned"),
}
PILLS = {Outcome.PASSED: "pill--good", Outcome.DENIED: "pill--warn", Outcome.ASKED: "pill--note"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says. `detail` is in English, as in the log. The request would pass after `wait`.

    `policy_url` is empty if the rule is not one of a stored policy.
    """

    policy_name: Any
    policy_url: str
    sentence: str
    outcome: Any
    pill: str
    detail: str = ""
    wait: str = ""


def describe_verdicts(
    simulation: Simulation, policies: Sequence[Simulated], unsaved: Simulated, organization_id: str
) -> list[Verdict]:
    """Return what each rule says, in the order of the trace, with the rules that deny or ask first."""
    rules = {policy.id: sentences(policy.rules) for policy in policies}
    order = (Outcome.DENIED, Outcome.ASKED, Outcome.PASSED, Outcome.NOT_CONCERNED)
    traced = sorted(simulation.rules, key=lambda each: order.index(each.outcome))
    return [
        Verdict(
            policy_name=plain_text(each.policy.name),
            policy_url="" if each.policy.id == unsaved.id else portal_url(organization_id, "policy", each.policy.id),
            sentence=rules[each.policy.id][each.rule.index],
            outcome=OUTCOMES[each.outcome],
            pill=PILLS.get(each.outcome, ""),
            detail=plain_text(each.detail),
            wait=duration(each.retry_after_seconds) if each.retry_after_seconds else "",
        )
        for each in traced
    ]


def describe_unknown(actions: Iterable[str], organization_id: str) -> list[str]:
    """Return a hint for each scope or action that no rule can name. It may belong to another organization."""
    text = gettext_noop('"%(scope)s" is neither in the catalogue nor one of your organization\'s scopes.')
    found = unknown_scopes(actions, organization_id=organization_id).items()
    return [translated(did_you_mean(Filled(text, scope=scope), choice)) for scope, choice in found]
