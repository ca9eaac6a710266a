"""The rule that denied a request, in words, if it can still be determined.

The log names the rule, but does not store its text. A policy that has changed since is not quoted, because its current
rule may not be the one that denied.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consent.models import Consent
from consent.terms import ASK, DATA_FLOW, DENY, Terms
from core.text import plain_text
from policies.models import Policy
from policies.rules import Rule, find_rule
from resources.actions import titles_for_users
from tokens.models import Delegation
from web.user.activity.items import Item
from web.user.connections.limits.descriptions import rule_in_words, targets_in_words
from web.wording.sentences import who_limited, whose_policy

GUARDS = {
    ASK: gettext_lazy(
        "Ask me before data can leave, after the agent has read both my private data and what others wrote"
    ),
    DENY: gettext_lazy("Never let data leave after the agent has read both my private data and what others wrote"),
}
WHOSE_USER, WHOSE_DEVELOPER, WHOSE_SERVICE, WHOSE_AGENT = "user", "developer", "service", "agent"


@dataclass(frozen=True, slots=True)
class RuleInWords:
    """A rule in words. `whose` says whether it is the user's, a developer's, the service's or an agent's limit.

    `name` is the policy's, and `agent` the agent of the chain that set the limit, or whose developer the policy has.
    `sentences` may be empty. `was_changed` means that the rule has changed since or no longer exists.
    """

    whose: str
    name: str
    sentences: list[str]
    was_changed: bool = False
    agent: str = ""


def find_rule_of(item: Item) -> RuleInWords | None:
    """Return the rule that denied the request or asked the user, or None if none did."""
    metadata = item.content["metadata"]
    if "ruleType" not in metadata:
        return None
    if metadata.get("limitedBy") == "user":
        return _own_rule(item, metadata["ruleType"])
    if metadata.get("limitedBy") == "delegation":
        return _delegated_rule(item, metadata)
    return _policy_rule(item, metadata)


def _own_rule(item: Item, rule_type: str) -> RuleInWords:
    stored = Consent.objects.filter(pk=item.content["consentId"]).values_list("terms", flat=True).first() or {}
    terms = Terms.read(stored).of(item.content["scopes"])
    if rule_type == DATA_FLOW and DATA_FLOW in terms.guards:
        return RuleInWords(WHOSE_USER, "", [str(GUARDS[terms.guards[DATA_FLOW]])])
    sentences = _bounds_of_type(terms, rule_type, _targets)
    return RuleInWords(WHOSE_USER, "", sentences, was_changed=not sentences)


def _delegated_rule(item: Item, metadata: Mapping[str, Any]) -> RuleInWords:
    """Return the limit with which an agent handed the work over."""
    rows = Delegation.objects.filter(pk=metadata.get("delegationId"))
    found: Mapping[str, Any] = rows.values("limits", "targets").first() or {}
    sentences = _bounds_of_type(Terms.read(found).of(item.content["scopes"]), metadata["ruleType"], _delegated)
    giver, _agent = who_limited(item.content)
    return RuleInWords(WHOSE_AGENT, "", sentences, was_changed=not sentences, agent=giver)


def _bounds_of_type(terms: Terms, rule_type: str, targets: Callable[[Terms], Iterable[str]]) -> list[str]:
    """Return the limits of this type in words, with the targets, which are rules about the context."""
    limits = [rule_in_words(rule) for rule in _limits_of_type(terms, rule_type)]
    return limits + list(targets(terms) if rule_type == "context_match" else ())


def _delegated(terms: Terms) -> list[str]:
    return [sentence for targets in terms.targets.values() for sentence in targets_in_words(targets)]


def _limits_of_type(terms: Terms, rule_type: str) -> Iterator[Rule]:
    for limits in terms.limits.values():
        for rule in map(find_rule, limits):
            if rule is not None and rule.type == rule_type:
                yield rule


def _targets(terms: Terms) -> Iterator[str]:
    for targets in terms.targets.values():
        for target in targets:
            identifiers = ", ".join(map(plain_text, target["identifiers"]))
            yield _("Only for what you picked: %(identifiers)s") % {"identifiers": identifiers}


def _policy_rule(item: Item, metadata: Mapping[str, Any]) -> RuleInWords:
    policy = Policy.objects.filter(pk=item.content["policyId"]).first()
    name = plain_text(metadata.get("policyName") or (policy.name if policy else ""))
    is_own = item.content["policyOrganizationId"] in (None, item.content["organizationId"])
    above = "" if is_own else whose_policy(item.content)
    whose = WHOSE_DEVELOPER if is_own or above else WHOSE_SERVICE
    rule = _unchanged_rule(policy, metadata, item.at)
    if rule is None:
        return RuleInWords(whose, name, [], was_changed=True, agent=above)
    return RuleInWords(whose, name, [rule.sentence(titles_for_users())], agent=above)


def _unchanged_rule(policy: Policy | None, metadata: Mapping[str, Any], at: datetime) -> Rule | None:
    """Return the policy's rule, unless the policy was changed or deleted after the decision."""
    index = metadata.get("ruleIndex")
    if policy is None or policy.updated_at > at or not isinstance(index, int) or index >= len(policy.rules):
        return None
    rule = find_rule(policy.rules[index])
    return rule if rule is not None and rule.type == metadata["ruleType"] else None
