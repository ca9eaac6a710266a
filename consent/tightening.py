"""Whether terms are at least as tight as earlier ones: a user may tighten them without a new consent."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_noop

from consent.errors import WouldWiden
from consent.terms import ASK, GivenTerms, Terms, guard_rank
from core.errors import FieldError
from core.validation import dotted
from policies.rules import Rule, find_rule
from policies.rules.conditions import Condition, is_match
from policies.rules.context_match import ContextMatch
from policies.rules.globs import WILDCARDS

# Rule types with a maximum: its field, and the fields that must be equal, so that less is tighter.
MAXIMA = {
    "rate_limit": ("max_requests", ("window_seconds", "scope")),
    "spend_limit": ("max_amount", ("window_seconds", "scope", "currency")),
}


def require_tighter(earlier: Terms, later: Terms, given: GivenTerms) -> None:
    """Raise `WouldWiden`, which names each field of `given` that makes `later` less tight than `earlier`."""
    errors = tuple(_problems(earlier, later, given))
    if errors:
        raise WouldWiden(errors[0].message, errors=errors)


def is_as_tight(limit: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Return whether a limit allows nothing that an earlier one denies.

    It is the same one, has a smaller maximum, or lists only some of the values of a field.
    """
    if limit == earlier:
        return True
    rule, other = find_rule(limit), find_rule(earlier)
    if rule is None or other is None or type(rule) is not type(other):
        return False
    return rule == other or _has_smaller_maximum(rule, other) or _has_fewer_values(rule, other)


def _has_smaller_maximum(rule: Rule, earlier: Rule) -> bool:
    if rule.type not in MAXIMA:
        return False
    maximum, same = MAXIMA[rule.type]
    if any(getattr(rule, name) != getattr(earlier, name) for name in same):
        return False
    return Decimal(getattr(rule, maximum)) <= Decimal(getattr(earlier, maximum))


def _has_fewer_values(rule: Rule, earlier: Rule) -> bool:
    """Return whether both require one of some values, and the rule's are among the earlier ones."""
    own, other = _listed(rule), _listed(earlier)
    if own is None or other is None or (own.field, own.operator) != (other.field, other.operator):
        return False
    return rule.actions == earlier.actions and all(_is_among(value, other) for value in own.values)


def _is_among(value: Any, earlier: Condition) -> bool:
    """Return whether the value is one of the earlier ones, or one text that matches one of the earlier patterns."""
    if any(type(one) is type(value) and one == value for one in earlier.values):
        return True
    if earlier.operator != "matches_any":
        return False
    return not WILDCARDS.intersection(value) and any(is_match(value, pattern) for pattern in earlier.values)


def _listed(rule: Rule) -> Condition | None:
    """Return the rule's condition if it is the only one, and lists what is allowed."""
    if not isinstance(rule, ContextMatch) or len(rule.conditions) != 1:
        return None
    only = rule.conditions[0]
    return only if only.operator in ("in", "matches_any") else None


def _problems(earlier: Terms, later: Terms, given: GivenTerms) -> Iterator[FieldError]:
    for scope in given.modes:
        if earlier.modes.get(scope) == ASK and later.modes.get(scope) != ASK:
            yield FieldError(
                dotted("modes", scope), gettext_noop("This scope asks. Only a new consent can allow it without asking.")
            )
    for scope in given.limits:
        if not _are_as_tight(later.limits.get(scope, ()), earlier.limits.get(scope, ())):
            message = gettext_noop(
                "Keep every limit, or replace it by one of the same kind with a smaller maximum or fewer values."
            )
            yield FieldError(dotted("limits", scope), message)
    for guard in given.guards:
        if guard_rank(later.guards.get(guard)) < guard_rank(earlier.guards.get(guard)):
            yield FieldError(
                dotted("guards", guard), gettext_noop("This guard is set. Only a new consent can loosen it.")
            )


def _are_as_tight(limits: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]) -> bool:
    return all(any(is_as_tight(limit, one) for limit in limits) for one in earlier)
