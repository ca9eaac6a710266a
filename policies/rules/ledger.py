"""The counters of a policy's limits, which edits of the policy preserve."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from core.money import Amount
from limits.sliding_window import MAX_NUMBER, SLOTS, Carried, CounterRequest, counter_key
from policies.rules.editions import GLOBAL, Edition
from policies.rules.kinds import LimitKind

EVERYONE = "*"
# The only subject of the scope "global".
ALL = "all"
# Within a connection, every scope counts the same requests.
CONNECTION_SCOPE = "per_user"
MAX_REQUESTS = 16_384
UNLIMITED = (MAX_NUMBER + 1) * SLOTS * 2
BUDGET_EXCEEDED = "The spending limit is exceeded."


@dataclass(frozen=True, slots=True)
class Ledger:
    """The counters of a policy in addition to those of its rules.

    `retired` kinds were removed by an edit; until the given time they still count, but never deny. Until the given
    time, counters of `charged` kinds include what an edit charged to every subject. Limits count in rows of the
    `edition`, and read those of `earlier` ones, too. `flows` are the actions of guards against data flows whose rows
    other guards read, too, each with the time of the edit that added those.
    """

    policy_id: str
    retired: Mapping[LimitKind, datetime] = field(default_factory=dict)
    charged: Mapping[LimitKind, datetime] = field(default_factory=dict)
    edition: int = 0
    earlier: tuple[Edition, ...] = ()
    flows: Mapping[tuple[str, ...], datetime] = field(default_factory=dict)

    @classmethod
    def read(cls, policy_id: str, stored: Mapping[str, Any]) -> "Ledger":
        """Parse a stored ledger. Raises `ValueError`, `LookupError` or `TypeError` if it is damaged."""
        retired, charged = _read(stored.get("retired", ())), _read(stored.get("charged", ()))
        earlier = tuple(map(_read_edition, stored.get("earlier", ())))
        flows = {_read_actions(each): datetime.fromisoformat(each["at"]) for each in stored.get("flows", ())}
        return cls(policy_id, retired, charged, int(stored.get("edition", 0)), earlier, flows)

    def stored(self) -> dict[str, Any]:
        return {
            "edition": self.edition,
            "retired": _write(self.retired),
            "charged": _write(self.charged),
            "earlier": [_write_edition(each) for each in self.earlier],
            "flows": [{"actions": list(actions), "at": at.isoformat()} for actions, at in sorted(self.flows.items())],
        }

    def key(self, kind: LimitKind, subject: str, edition: int | None = None) -> str:
        """Return the key of a counter in the present edition, or in another one."""
        return _key(self.policy_id, self.edition if edition is None else edition, kind, subject)

    def prefix(self, scope: str, edition: int) -> str:
        """Return how the keys of the counters of a scope begin."""
        return counter_key("limit", f"{self.policy_id}@{edition}", scope, "")

    def request(self, kind: LimitKind, subject: str, limit: int, now: datetime) -> CounterRequest:
        """Return the counter of this limit on requests for the subject."""
        if not self.earlier and not self.charged:
            return _request(self.policy_id, self.edition, kind, subject, limit)
        return CounterRequest(
            self.key(kind, subject), limit, kind.window_seconds, tuple(self._carried(kind, subject, now))
        )

    def amount_request(self, kind: LimitKind, subject: str, limit: int, now: datetime, number: int) -> CounterRequest:
        """Return the counter of this limit on amounts for the subject, from which the request takes `number`."""
        return CounterRequest(
            self.key(kind, subject),
            limit,
            kind.window_seconds,
            tuple(self._carried(kind, subject, now)),
            number=number,
            is_amount=True,
            denial=BUDGET_EXCEEDED,
        )

    def retired_requests(
        self, kind: LimitKind, subject: str, asked: Iterable[str], amount: Amount | None
    ) -> tuple[CounterRequest, ...]:
        """Return the counter of a retired kind for a request, or nothing if it does not concern it."""
        if not kind.concerns(asked):
            return ()
        if not kind.currency:
            return (_request(self.policy_id, self.edition, kind, subject, UNLIMITED),)
        if amount is None or amount.currency != kind.currency:
            return ()
        key = self.key(kind, subject)
        return (CounterRequest(key, UNLIMITED, kind.window_seconds, number=amount.units, is_amount=True),)

    def _carried(self, kind: LimitKind, subject: str, now: datetime) -> Iterator[Carried]:
        """Yield the other counters that a limit reads for the subject. Raises `LookupError` if a total is missing."""
        charged_until = self.charged.get(kind)
        if charged_until is not None and now < charged_until:
            yield Carried(self.key(kind, EVERYONE), kind.window_seconds)
        for edition in self.earlier:
            if now < edition.until:
                yield from self._carried_from(edition, kind, subject)

    def _carried_from(self, edition: Edition, kind: LimitKind, subject: str) -> Iterator[Carried]:
        if edition.missing(kind):
            raise LookupError("An earlier edition has no total.")
        for origin, until, _ in edition.parts(kind):
            subjects = [subject if origin.scope == kind.scope else ALL]
            for each in [*subjects, EVERYONE] if origin in edition.charged else subjects:
                key = self.key(origin, each, edition.number)
                yield Carried(key, origin.window_seconds, edition.at, until)


def connection_ledger(agent_id: str, user_id: str, scope: str, stored: Mapping[str, Any] | None = None) -> Ledger:
    """Return the counters of a user's limits on a scope, or "" for all. They survive a renewal of the consent.

    `stored` is what the user's edits have left.
    """
    # A digest, because scopes can be too long for the keys of counters, which are found by their beginning.
    name = hashlib.sha256(f"{agent_id}|{user_id}|{scope}".encode()).hexdigest()
    return Ledger.read(name, stored or {})


def delegation_ledger(delegation_id: str, scope: str) -> Ledger:
    """Return the counters of a delegation's limits on a scope, which all calls below it share."""
    return Ledger(hashlib.sha256(f"{delegation_id}|{scope}".encode()).hexdigest())


def subject_of(scope: str, *, agent_id: str, user_id: str | None) -> str:
    """Return the subject whose requests are counted together. A request without a user counts for its agent."""
    if scope == GLOBAL:
        return ALL
    return agent_id if scope == "per_agent" or user_id is None else user_id


# The same users ask again and again.
@lru_cache(MAX_REQUESTS)
def _request(policy_id: str, edition: int, kind: LimitKind, subject: str, limit: int) -> CounterRequest:
    return CounterRequest(_key(policy_id, edition, kind, subject), limit, kind.window_seconds)


@lru_cache(MAX_REQUESTS)
def _key(policy_id: str, edition: int, kind: LimitKind, subject: str) -> str:
    return counter_key("limit", f"{policy_id}@{edition}", kind.scope, subject, kind.label)


def _read(stored: Any) -> dict[LimitKind, datetime]:
    return {_read_kind(each): datetime.fromisoformat(each["until"]) for each in stored}


def _read_edition(stored: Any) -> Edition:
    return Edition(
        int(stored["edition"]),
        frozenset(map(_read_kind, stored["kinds"])),
        frozenset(map(_read_kind, stored["charged"])),
        datetime.fromisoformat(stored["at"]),
        datetime.fromisoformat(stored["until"]),
    )


def _read_kind(stored: Any) -> LimitKind:
    return LimitKind.of(stored["windowSeconds"], stored["scope"], stored.get("currency", ""), _read_actions(stored))


def _read_actions(stored: Any) -> tuple[str, ...]:
    actions = stored.get("actions", [])
    if not (isinstance(actions, list) and all(isinstance(each, str) for each in actions)):
        raise TypeError("The actions of a rule must be a list of strings.")
    return tuple(actions)


def _write(kinds: Mapping[LimitKind, datetime]) -> list[dict[str, Any]]:
    return [{**_write_kind(kind), "until": until.isoformat()} for kind, until in sorted(kinds.items())]


def _write_edition(edition: Edition) -> dict[str, Any]:
    return {
        "edition": edition.number,
        "kinds": [_write_kind(kind) for kind in sorted(edition.kinds)],
        "charged": [_write_kind(kind) for kind in sorted(edition.charged)],
        "at": edition.at.isoformat(),
        "until": edition.until.isoformat(),
    }


def _write_kind(kind: LimitKind) -> dict[str, Any]:
    stored: dict[str, Any] = {"windowSeconds": kind.window_seconds, "scope": kind.scope}
    if kind.currency:
        stored["currency"] = kind.currency
    return {**stored, "actions": list(kind.actions)} if kind.actions else stored
