"""What bounds a new delegation: limits as users set them, and targets among those that the agent has itself."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_noop

from consent.details import TYPES
from consent.targets import FIELD, TOO_LONG, Pick, Targets, are_too_long
from consent.terms import require_limits
from core.canonical import canonical_json
from core.errors import Invalid
from core.text import echo, plain_text
from core.wording import Filled
from tokens.errors import TargetNotHeld

# Verify reads the limits of each delegation of a chain with each request.
MAX_BYTES = 4096


def settle_limits(limits: Mapping[str, Any], scopes: Sequence[str]) -> dict[str, Any]:
    """Return the limits of the delegated scopes as they are stored. Raises `Invalid`, naming each field."""
    require_limits(limits, scopes)
    stored = {scope: list(rules) for scope, rules in limits.items() if rules}
    if len(canonical_json(stored)) > MAX_BYTES:
        text = gettext_noop("All limits of a delegation must fit in %(most)d bytes. Use fewer limits.")
        raise Invalid.field("limits", Filled(text, most=MAX_BYTES))
    return stored


def settle_targets(picks: Sequence[Pick], held: Mapping[str, Any], scopes: Sequence[str]) -> Targets:
    """Return the targets of the delegated scopes: those picked or, without a pick, those that the agent has itself.

    A scope for which the agent has no targets may be bounded to any. Raises `TargetNotHeld`, naming the field.
    """
    targets: Targets = {scope: [dict(target) for target in held[scope]] for scope in scopes if scope in held}
    picked: set[str] = set()
    for index, pick in enumerate(picks):
        _require_picked(pick, index)
        for place, scope in _bounded(pick, index, held, scopes):
            if scope in picked:
                text = gettext_noop("Another pick bounds %(action)s already. Give each pick its own actions.")
                raise TargetNotHeld.field(f"targets.{index}.actions.{place}", Filled(text, action=scope))
            picked.add(scope)
            _require_held(pick, index, held.get(scope), scope)
            identifiers = list(dict.fromkeys(pick.identifiers))
            targets[scope] = [{"type": pick.type, "field": FIELD, "identifiers": identifiers}]
    if are_too_long(targets):
        raise TargetNotHeld.field("targets", Filled(gettext_noop("%(problem)s Pick fewer."), problem=TOO_LONG))
    return targets


def _require_picked(pick: Pick, index: int) -> None:
    if pick.type not in TYPES:
        text = gettext_noop("Must be one of %(choices)s.")
        raise TargetNotHeld.field(f"targets.{index}.type", Filled(text, choices=", ".join(TYPES)))
    if not pick.identifiers:
        raise TargetNotHeld.field(f"targets.{index}.identifiers", gettext_noop("Pick at least one target."))


def _bounded(pick: Pick, index: int, held: Mapping[str, Any], scopes: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the scopes that a pick bounds, with their places.

    By default, these are those for which the agent has targets of this type, or else those for which it has none.
    """
    if pick.actions is not None:
        for place, scope in enumerate(pick.actions):
            if scope not in scopes:
                text = gettext_noop("'%(action)s' is not one of the delegated scopes.")
                raise TargetNotHeld.field(f"targets.{index}.actions.{place}", Filled(text, action=echo(scope)))
        yield from enumerate(dict.fromkeys(pick.actions))
        return
    own = [scope for scope in scopes if any(target["type"] == pick.type for target in held.get(scope, ()))]
    found = own or [scope for scope in scopes if scope not in held]
    if not found:
        text = gettext_noop("The agent has no targets of this type for the delegated scopes.")
        raise TargetNotHeld.field(f"targets.{index}.type", text)
    yield from enumerate(found)


def _require_held(pick: Pick, index: int, own: Sequence[Mapping[str, Any]] | None, scope: str) -> None:
    """Raise `TargetNotHeld` if the pick has a target that the agent lacks for the scope. With None, it has any."""
    offered = (
        None if own is None else {one for target in own if target["type"] == pick.type for one in target["identifiers"]}
    )
    for place, identifier in enumerate(pick.identifiers):
        if identifier != plain_text(identifier):
            text = gettext_noop("Must be one line of visible characters, without spaces around it.")
            raise TargetNotHeld.field(f"targets.{index}.identifiers.{place}", text)
        if offered is not None and identifier not in offered:
            text = gettext_noop("This agent does not have '%(identifier)s' for %(scope)s now.")
            message = Filled(text, identifier=echo(identifier), scope=scope)
            raise TargetNotHeld.field(f"targets.{index}.identifiers.{place}", message)
