"""The scopes that rules name as actions: of the catalogue or the organization. A misspelt one would match nothing."""

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

from core.errors import FieldError
from developers.models import CustomScope
from policies.rules import InvalidRules, Rule
from policies.rules.parsing import echo
from policies.rules.patterns import matches_any


def require_known_actions(rules: Sequence[Rule], *, organization_id: str, catalogue: Collection[str]) -> None:
    """Raise `InvalidRules`, naming each action that matches no known scope. `catalogue` are the common scopes' ids."""
    if not any(getattr(rule, "actions", ()) for rule in rules):
        return
    own = CustomScope.objects.filter(organization_id=organization_id).values_list("id", flat=True)
    errors = tuple(_errors(rules, {*catalogue, *own}))
    if errors:
        raise InvalidRules("A rule names an action that does not exist.", errors=errors)


def _errors(rules: Sequence[Rule], known: Collection[str]) -> Iterator[FieldError]:
    for index, rule in enumerate(rules):
        for place, action in enumerate(getattr(rule, "actions", ())):
            if not any(matches_any((action,), scope) for scope in known):
                yield FieldError(f"rules.{index}.config.actions.{place}", _explain(action, known))


def _explain(action: str, known: Collection[str]) -> str:
    wrong = f'"{echo(action)}" is neither in the catalogue nor one of your organization\'s scopes.'
    nearest = get_close_matches(action, sorted(_beginnings(known) if action.endswith("*") else known), n=1)
    hint = f'Did you mean "{nearest[0]}"?' if nearest else "GET /api/v1/scopes lists the catalogue."
    return f"{wrong} {hint}"


def _beginnings(known: Collection[str]) -> set[str]:
    """Return the patterns that stand for several known scopes, such as payments:*."""
    return {scope[: place + 1] + "*" for scope in known for place, letter in enumerate(scope) if letter == ":"}
