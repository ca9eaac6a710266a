"""How much the enabled policies of an organization may have together (docs/adr/0067)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.translation import gettext_noop

from core.errors import FieldError
from core.wording import Filled
from limits.throttle import Subject, Throttle
from policies.models import Policy
from policies.rules import RULES, InvalidRules

MAX_POLICIES = 100
# Of all their rules together, as stored. A process that has not read them yet parses them while decisions wait.
MAX_BYTES = 256 * 1024
# What can apply to one call: the rules for all agents, and those for its agent.
MAX_RULES = 100
MAX_LIMITS = 32

BOUNDED = {name: rule.most_per_organization for name, rule in RULES.items() if rule.most_per_organization is not None}
COUNTING = frozenset(name for name, rule in RULES.items() if rule.needs_counters)


class Enabled(NamedTuple):
    """What counts of an enabled policy. `types` are those of its rules."""

    agent_id: str | None
    types: Sequence[str]
    size: int

    @classmethod
    def of(cls, agent_id: str | None, rules: Any) -> "Enabled":
        items = rules if isinstance(rules, list) else []
        types = [str(item.get("type")) for item in items if isinstance(item, Mapping)]
        return cls(agent_id, types, len(json.dumps(rules, separators=(",", ":"))))


def require_room(
    *, organization_id: str, agent_id: str | None, rules: Any, field: str, policy_id: str | None = None
) -> None:
    """Raise `InvalidRules`, naming the field, if an enabled policy with these rules would be too much.

    `policy_id` is the policy that has the rules already, or None for a new one.
    Danger: lock the organization first, or two policies could take the same room.
    """
    rows = Policy.objects.filter(organization_id=organization_id, enabled=True).exclude(id=policy_id)
    others = [Enabled.of(*row) for row in rows.values_list("agent_id", "rules").iterator()]
    own = Enabled.of(agent_id, rules)
    problem = _whole_problem(own, others) or _type_problem(own, others) or _call_problem(own, others)
    if problem is not None:
        raise InvalidRules(errors=(FieldError(field, problem),))


def _whole_problem(own: Enabled, others: Sequence[Enabled]) -> Filled | None:
    if len(others) >= MAX_POLICIES:
        text = gettext_noop("An organization has at most %(most)d enabled policies. Disable or delete another one.")
        return Filled(text, most=MAX_POLICIES)
    if sum(each.size for each in (own, *others)) > MAX_BYTES:
        text = gettext_noop(
            "The rules of all enabled policies of an organization have at most %(most)d bytes together. Shorten them, "
            "or disable another policy."
        )
        return Filled(text, most=MAX_BYTES)
    return None


def _type_problem(own: Enabled, others: Sequence[Enabled]) -> Filled | None:
    """Return the problem with a rule type that is bounded by itself."""
    used = Counter(name for each in others for name in each.types)
    for name, number in Counter(own.types).items():
        if name in BOUNDED and used[name] + number > BOUNDED[name]:
            text = gettext_noop(
                "The enabled policies of an organization have at most %(most)d rules of the type %(type)s. "
                "%(used)d are in other policies."
            )
            return Filled(text, most=BOUNDED[name], type=name, used=used[name])
    return None


def _call_problem(own: Enabled, others: Sequence[Enabled]) -> Filled | None:
    """Return the problem with what would apply to the calls of one agent."""
    types = _types_per_agent(own, others)
    number = max(map(len, types))
    if number > MAX_RULES:
        text = gettext_noop(
            "At most %(most)d rules of enabled policies may apply to one agent, including those for all agents. With "
            "this policy there would be %(number)d. Remove rules, or disable another policy."
        )
        return Filled(text, most=MAX_RULES, number=number)
    number = max(sum(name in COUNTING for name in each) for each in types)
    if number > MAX_LIMITS:
        text = gettext_noop(
            "At most %(most)d limits and data flow guards of enabled policies may apply to one agent, including those "
            "for all agents. With this policy there would be %(number)d. Remove some, or disable another policy."
        )
        return Filled(text, most=MAX_LIMITS, number=number)
    return None


def _types_per_agent(own: Enabled, others: Iterable[Enabled]) -> Sequence[Sequence[str]]:
    """Return the rule types that apply to each agent whose calls the policy concerns, and to any other agent."""
    by_agent: defaultdict[str | None, list[str]] = defaultdict(list)
    for each in (own, *others):
        by_agent[each.agent_id] += each.types
    shared = by_agent.pop(None, [])
    if own.agent_id is not None:
        return [[*shared, *by_agent[own.agent_id]]]
    return [shared, *([*shared, *types] for types in by_agent.values())]


def throttle_writes(organization_id: str) -> None:
    """Count a write of a policy by a developer of the organization. Raises `Throttled`. Call it before the write.

    Each write makes every server process read the organization's policies again.
    """
    Throttle("policies", settings.THROTTLE_POLICIES).hit(Subject(f"organization:{organization_id}"))
