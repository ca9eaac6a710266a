"""What identifies the counters of a limit within its policy."""

import hashlib
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from policies.rules.patterns import Matcher

MAX_KINDS = 4096


class LimitKind(NamedTuple):
    """What identifies the counters of a limit within its policy. The maximum is not part of it.

    It counts requests or, with a currency, amounts. `actions` are those that it concerns, or empty for all. Make one
    with `of`, so that equal kinds compare equal.
    """

    window_seconds: int
    scope: str
    currency: str = ""
    actions: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What distinguishes its counters from those of other kinds of its scope. It has no separator of keys."""
        return _label(self)

    @classmethod
    def of(cls, window_seconds: int, scope: str, currency: str = "", actions: Collection[str] = ()) -> "LimitKind":
        return cls(window_seconds, scope, currency, _shortest(tuple(actions)))

    def concerns(self, asked: Iterable[str]) -> bool:
        """Return whether it counts a request that asks for these scopes and actions."""
        return not self.actions or any(map(_matcher(self.actions).matches, asked))

    def covers(self, other: "LimitKind") -> bool:
        """Return whether it concerns all requests that the other one concerns."""
        if not self.actions or not other.actions:
            return not self.actions
        return all(any(_contains(own, each) for own in self.actions) for each in other.actions)

    def overlaps(self, other: "LimitKind") -> bool:
        """Return whether an action can concern both."""
        if not self.actions or not other.actions:
            return True
        return any(_contains(own, each) or _contains(each, own) for own in self.actions for each in other.actions)


@lru_cache(MAX_KINDS)
def _shortest(actions: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns in order, without those that another one contains."""
    names = sorted(set(actions))
    return tuple(each for each in names if not any(other != each and _contains(other, each) for other in names))


def _contains(pattern: str, other: str) -> bool:
    """Return whether everything that `other` matches, `pattern` matches too."""
    if not pattern.endswith("*"):
        return pattern == other
    return other.removesuffix("*").startswith(pattern[:-1])


@lru_cache(MAX_KINDS)
def _matcher(actions: tuple[str, ...]) -> Matcher:
    return Matcher.of(actions)


@lru_cache(MAX_KINDS)
def _label(kind: LimitKind) -> str:
    # The digest is short, because keys of counters are found by their beginning, and so must not be too long.
    actions = hashlib.sha256("\n".join(kind.actions).encode()).hexdigest()[:32] if kind.actions else ""
    return f"{kind.window_seconds}:{kind.currency}:{actions}"
