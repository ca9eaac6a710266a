"""How many rules of a type the enabled policies of an organization may have together."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext_noop

from core.errors import FieldError
from core.wording import Filled
from policies.models import Policy
from policies.rules import RULES, InvalidRules

BOUNDED = {name: rule.most_per_organization for name, rule in RULES.items() if rule.most_per_organization is not None}


def require_room(*, organization_id: str, rules: Any, field: str, policy_id: str | None = None) -> None:
    """Raise `InvalidRules`, naming the field, if an enabled policy with these rules would be too many.

    `policy_id` is the policy that has the rules already, or None for a new one.
    Danger: lock the organization first, or two policies could take the same room.
    """
    added = _count([rules])
    if not added:
        return
    others = Policy.objects.filter(organization_id=organization_id, enabled=True).exclude(id=policy_id)
    used = _count(others.values_list("rules", flat=True).iterator())
    for name, number in added.items():
        if used[name] + number > BOUNDED[name]:
            text = gettext_noop(
                "The enabled policies of an organization have at most %(most)d rules of the type %(type)s. "
                "%(used)d are in other policies."
            )
            message = Filled(text, most=BOUNDED[name], type=name, used=used[name])
            raise InvalidRules(errors=(FieldError(field, message),))


def _count(stored: Iterable[Any]) -> Counter[str]:
    items = (item for rules in stored if isinstance(rules, list) for item in rules)
    types = (item.get("type") for item in items if isinstance(item, Mapping))
    return Counter(name for name in types if isinstance(name, str) and name in BOUNDED)
