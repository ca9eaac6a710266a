"""Which scopes cover which actions. Pure, without I/O: decisions compute with it."""

import json
import logging
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from resources.risks import RISK_LEVELS

logger = logging.getLogger(__name__)

# What a word of a service can have besides letters and digits.
SPACES = " -_."


class Cover(NamedTuple):
    """A scope that covers an action, since this edition of it (`CustomScope.edition`)."""

    scope: str
    edition: int = 0


@dataclass(frozen=True, slots=True)
class Actions:
    """Which scopes cover which actions, the scopes of the lowest risk first.

    Every action with one of the `prefixes`, and each of the actions that `named` has, must be covered.
    """

    prefixes: Container[str] = ()
    named: Container[str] = ()
    covers: Mapping[str, Sequence[Cover]] = field(default_factory=dict)

    def find(self, action: str) -> Sequence[Cover] | None:
        """Return the scopes that cover the action, or None if none must."""
        found = self.covers.get(action)
        if found is not None:
            return found
        # Names are in ASCII and lower case. Another spelling of one must not pass for a word of the service.
        if not action.isascii():
            return None if all(letter.isalnum() or letter in SPACES for letter in action) else ()
        folded = action.strip().lower()
        prefix, colon, _ = folded.partition(":")
        is_named = folded in self.named or folded in self.covers
        return () if is_named or (colon and prefix.strip() in self.prefixes) else None


class OwnScope(NamedTuple):
    """The actions of a scope that an organization defines.

    `retired` are actions that it covered or excluded before. They must still be covered, because users have read them.
    """

    id: str
    risk_level: str
    covers: Mapping[str, int]
    excludes: Sequence[str]
    retired: Sequence[str] = ()


class _Everything:
    def __contains__(self, action: object) -> bool:
        return True


NO_ACTIONS = Actions()
UNREADABLE = Actions(named=_Everything())
"""Every action must be covered, and no scope covers any."""


def read_actions(text: str) -> Actions:
    """Return the actions of an organization's own scopes, from a JSON list of what `OwnScope` has.

    If it cannot be read, no action is covered, so that all are denied.
    """
    try:
        return own_actions(OwnScope(*each) for each in json.loads(text))
    except Exception:
        logger.exception("The actions of an organization's scopes cannot be read and deny")
        return UNREADABLE


def own_actions(scopes: Iterable[OwnScope]) -> Actions:
    """Return the actions of an organization's own scopes.

    An action must be covered if it is a scope, if one excludes it or ever named it, or if any scope with its prefix
    covers actions.
    """
    listed = list(scopes)
    if not listed:
        return NO_ACTIONS
    prefixes = {each.id.partition(":")[0] for each in listed if each.covers}
    named = {action for each in listed for action in (*each.excludes, *each.retired)}
    return Actions(prefixes, named, covers_of(listed))


def covers_of(scopes: Iterable[OwnScope]) -> Mapping[str, Sequence[Cover]]:
    found = defaultdict[str, list[Cover]](list)
    for each in sorted(scopes, key=lambda each: RISK_LEVELS.index(each.risk_level)):
        found[each.id].append(Cover(each.id))
        for action, edition in each.covers.items():
            found[action].append(Cover(each.id, edition))
    return MappingProxyType({action: tuple(covers) for action, covers in found.items()})
