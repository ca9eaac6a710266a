"""What rules may name as actions: the scopes and actions of the catalogue, and those of the organization's own scopes.

An unknown action is an error, because a misspelled one would match nothing.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence

from django.utils.translation import gettext_noop

from core.errors import FieldError
from core.text import echo, nearest
from core.wording import Filled
from policies.rules import InvalidRules, Rule
from policies.rules.cedar import Cedar
from policies.rules.patterns import Matcher
from resources.actions import action_titles
from resources.models import CustomScope


def require_known_actions(rules: Sequence[Rule], *, organization_id: str) -> None:
    """Raise `InvalidRules`, naming each action that matches no known scope."""
    if not any(_actions(rule) for rule in rules):
        return
    error = InvalidRules.first(
        gettext_noop("A rule names an action that does not exist."), _errors(rules, _known_to(organization_id))
    )
    if error:
        raise error


def unknown_scopes(scopes: Iterable[str], *, organization_id: str) -> dict[str, str | None]:
    """Return those that rules cannot name, each with the most similar one that they can, or None."""
    others = [scope for scope in scopes if scope not in action_titles()]
    if not others:
        return {}
    known = _known_to(organization_id)
    return {scope: nearest(scope.lower(), known) for scope in others if scope not in known}


def _known_to(organization_id: str) -> set[str]:
    rows = CustomScope.objects.filter(organization_id=organization_id).values_list("id", "covers", "excludes")
    return {*action_titles(), *(action for own, covers, excludes in rows for action in (own, *covers, *excludes))}


def _errors(rules: Sequence[Rule], known: Collection[str]) -> Iterator[FieldError]:
    listed = sorted(known)
    for index, rule in enumerate(rules):
        for field, action in _actions(rule):
            if not _is_known(action, listed):
                yield FieldError(f"rules.{index}.config.{field}", _explain(action, known))


def _actions(rule: Rule) -> list[tuple[str, str]]:
    """Return each action that the rule names, with its field."""
    listed = [(f"actions.{place}", action) for place, action in enumerate(rule.actions)]
    return listed + [("policy", action) for action in rule.named_actions] if isinstance(rule, Cedar) else listed


def _is_known(action: str, listed: Sequence[str]) -> bool:
    """Return whether the action matches one of the sorted scopes. A binary search, for thousands of actions."""
    place = bisect_left(listed, action.removesuffix("*"))
    return place < len(listed) and Matcher.of((action,)).matches(listed[place])


def _explain(action: str, known: Collection[str]) -> str:
    # Scopes are lowercase.
    choice = nearest(action.lower(), _beginnings(known) if action.endswith("*") else known)
    text = gettext_noop(
        '"%(action)s" is neither in the catalogue nor one of your organization\'s scopes. '
        "The catalogue is at /scopes, and for programs at /api/v1/scopes."
    )
    if choice:
        text = gettext_noop(
            '"%(action)s" is neither in the catalogue nor one of your organization\'s scopes. '
            'Did you mean "%(choice)s"?'
        )
    return Filled(text, action=echo(action), choice=choice)


def _beginnings(known: Collection[str]) -> set[str]:
    """Return the patterns that match known scopes, such as payments:*."""
    return {scope[: place + 1] + "*" for scope in known for place, letter in enumerate(scope) if letter == ":"}
