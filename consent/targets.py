"""Targets: for each bounded scope, the identifiers that the user picked for it.

They are a part of the connection's terms, `{"<scope>": [{"type", "field", "identifiers"}]}`, and verify compiles them
into rules: a call that needs the scope must name one of the identifiers in `context.<field>`.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop

from consent.details import AuthorizationDetail, complete_details
from consent.errors import InvalidAuthorizationDetails, NothingPicked, WouldWiden
from core.errors import DomainError, Invalid
from core.text import echo
from core.wording import Filled

type Targets = dict[str, list[dict[str, Any]]]
type Details = list[dict[str, Any]]

FIELD = "target"
# What is granted is a claim of each access token, which must stay short enough for a header. Written as JSON in ASCII.
MAX_CLAIM = 4 * 1024
# Each scope has its own list, and verify reads them all.
MAX_STORED = 8 * 1024
TOO_LONG = Filled(
    gettext_noop("Together, the targets may have at most %(most)d bytes, and %(stored)d with a copy for each scope."),
    most=MAX_CLAIM,
    stored=MAX_STORED,
)


@dataclass(frozen=True, slots=True)
class Pick:
    """The identifiers that the user picks from a requested detail.

    `actions` are those of the detail, needed if the request has several details of this type.
    """

    type: str
    identifiers: Sequence[str]
    actions: Sequence[str] | None = None


def pick_targets(
    details: Sequence[Mapping[str, Any]], picks: Sequence[Pick] | None, granted: Collection[str]
) -> Targets:
    """Return the targets of those granted scopes that a requested detail bounds. Without `picks`, pick everything.

    Raises `NothingPicked` if a granted scope would have none, and `Invalid` for a pick that was not requested.
    """
    found = _match(details, picks or (), _not_requested)
    whole = picks is None
    picked = [(detail, detail["identifiers"] if whole else found.get(n, [])) for n, detail in enumerate(details)]
    return _bound(picked, granted)


def narrow_targets(targets: Mapping[str, Any], picks: Sequence[Pick], scopes: Sequence[str]) -> Targets:
    """Return the targets of those scopes for which the user keeps only the picks.

    Raises `NothingPicked` if a scope would have none, `WouldWiden` for a pick that is not granted, and `Invalid`.
    """
    details = granted_details(targets, scopes)
    found = _match(details, picks, _not_granted)
    return _bound([(details[number], identifiers) for number, identifiers in found.items()], scopes)


def is_within(later: Mapping[str, Any], earlier: Mapping[str, Any], scope: str) -> bool:
    """Return whether the scope is bounded, and to nothing but its earlier targets."""
    return scope in later and _identifiers(later[scope]) <= _identifiers(earlier[scope])


def granted_details(targets: Mapping[str, Any], scopes: Sequence[str]) -> Details:
    """Return what is granted for these scopes, as authorization details (RFC 9396 section 7)."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for scope in scopes:
        for target in targets.get(scope, ()):
            found.setdefault((target["type"], tuple(target["identifiers"])), []).append(scope)
    return [
        {"type": kind, "identifiers": list(identifiers), "actions": actions}
        for (kind, identifiers), actions in found.items()
    ]


def asks_for_all(details: Sequence[AuthorizationDetail], targets: Mapping[str, Any], scopes: Sequence[str]) -> bool:
    """Return whether the details of a token request are exactly what is granted for these scopes."""
    try:
        asked = complete_details(details, scopes)
    except InvalidAuthorizationDetails:
        return False
    return _bounds(asked) == _bounds(granted_details(targets, scopes))


def are_too_long(targets: Mapping[str, Any]) -> bool:
    """Return whether the targets of a connection are too long to be stored, or to be a claim of its tokens."""
    claim = json.dumps(granted_details(targets, list(targets)), separators=(",", ":"))
    return len(claim) > MAX_CLAIM or len(json.dumps(dict(targets))) > MAX_STORED


def require_short(targets: Mapping[str, Any]) -> None:
    """Raise `Invalid` if the targets are too long."""
    if are_too_long(targets):
        raise Invalid.field("targets", Filled(gettext_noop("%(problem)s Pick fewer."), problem=TOO_LONG))


def _identifiers(targets: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(target["field"], identifier) for target in targets for identifier in target["identifiers"]}


def _bounds(details: Details) -> set[tuple[str, str, str]]:
    return {
        (detail["type"], action, identifier)
        for detail in details
        for action in detail["actions"]
        for identifier in detail["identifiers"]
    }


def _bound(picked: Sequence[tuple[Mapping[str, Any], list[str]]], granted: Collection[str]) -> Targets:
    """Return the targets of the granted scopes of details. Raises `NothingPicked`."""
    targets: Targets = {}
    for detail, identifiers in picked:
        for scope in detail["actions"]:
            if scope in granted:
                targets[scope] = [{"type": detail["type"], "field": FIELD, "identifiers": identifiers}]
    empty = [scope for scope, (target,) in targets.items() if not target["identifiers"]]
    if empty:
        text = gettext_noop("Pick at least one target for %(scopes)s, or leave it out.")
        raise NothingPicked.field("targets", Filled(text, scopes=", ".join(empty)))
    return targets


def _match(
    details: Sequence[Mapping[str, Any]], picks: Sequence[Pick], refuse: Callable[[str, str], DomainError]
) -> dict[int, list[str]]:
    """Return the identifiers picked from each detail that is picked from, by its number, in the detail's order."""
    found: dict[int, list[str]] = {}
    for index, pick in enumerate(picks):
        number = _number_of(details, pick, index)
        offered = details[number]["identifiers"]
        for place, identifier in enumerate(pick.identifiers):
            if identifier not in offered:
                raise refuse(f"targets.{index}.identifiers.{place}", echo(identifier))
        found[number] = [one for one in offered if one in pick.identifiers or one in found.get(number, ())]
    return found


def _not_requested(field: str, identifier: str) -> DomainError:
    return Invalid.field(field, Filled(gettext_noop("'%(identifier)s' was not requested."), identifier=identifier))


def _not_granted(field: str, identifier: str) -> DomainError:
    text = gettext_noop("'%(identifier)s' is not granted. Only a new consent can add it.")
    return WouldWiden.field(field, Filled(text, identifier=identifier))


def _number_of(details: Sequence[Mapping[str, Any]], pick: Pick, index: int) -> int:
    """Return the number of the detail that is picked from."""
    found = [
        number
        for number, detail in enumerate(details)
        if detail["type"] == pick.type and (pick.actions is None or set(pick.actions) == set(detail["actions"]))
    ]
    if not found:
        raise Invalid.field(f"targets.{index}", gettext_noop("No detail has this type and these actions."))
    if len(found) > 1:
        text = gettext_noop("Several details are of type %(type)s. Say which.")
        raise Invalid.field(f"targets.{index}.actions", Filled(text, type=pick.type))
    return found[0]
