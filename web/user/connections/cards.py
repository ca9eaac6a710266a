"""Connections as pages show them: what an agent may do, on what terms, and what it has used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from audit.readers.uses import ScopeUse
from consent.delegation import hands_on
from consent.models import Consent
from consent.selectors import agreed_scopes
from consent.terms import ALLOW, ASK, DATA_FLOW, GUARD_MODES, Terms, always_asking, guard_rank
from consent.usage import Usage, usage_of
from core import clock
from resources.catalogue import LABELS, OUTBOUND, Scope
from resources.categories import category_name
from web.display.labels import highest_risk, risk_level
from web.user.connections.limits.descriptions import limits_in_words
from web.user.connections.limits.form import LimitFields, limit_fields
from web.user.consent.targets import identifiers_of

LIVE = Consent.Status.APPROVED
# The number of powers that a card names. Others are counted.
MAX_POWERS = 4
# The number of targets per power that a card names. Others are counted.
MAX_TARGETS = 2


@dataclass(frozen=True, slots=True)
class BoundedScope:
    """A granted scope with its terms. `use` is None if it was never used, and `limits` are in words.

    `targets` are the identifiers to which the scope is limited, if any. `guard` is the mode of the data flow guard if
    the scope can send data out. `hands_on`: work is handed to other agents by it, which neither asks nor is guarded.
    """

    scope: Scope
    use: ScopeUse | None
    asks: bool
    always_asks: bool
    guard: str
    limits: list[str]
    targets: list[str]
    is_unused: bool
    hands_on: bool = False

    @property
    def named_targets(self) -> list[str]:
        return self.targets[:MAX_TARGETS]

    @property
    def further_targets(self) -> int:
        return max(0, len(self.targets) - MAX_TARGETS)

    @property
    def further_limits(self) -> int:
        """The number of limits after the first one."""
        return max(0, len(self.limits) - 1)


@dataclass(frozen=True, slots=True)
class Powers:
    """What an agent may do without asking, until data could leave, or if the user approves. The riskiest come first."""

    shown: list[BoundedScope]
    further: int

    @classmethod
    def of(cls, scopes: Iterable[BoundedScope]) -> "Powers":
        ranked = sorted(scopes, key=lambda bounded: -risk_level(bounded.scope.risk_level))
        return cls(ranked[:MAX_POWERS], max(0, len(ranked) - MAX_POWERS))


@dataclass(frozen=True, slots=True)
class Group:
    """The scopes of one service."""

    category: str
    scopes: list[BoundedScope]

    @property
    def name(self) -> str:
        return category_name(self.category)

    @property
    def ids(self) -> list[str]:
        return [bounded.scope.id for bounded in self.scopes]

    @property
    def is_ours(self) -> bool:
        """Whether the name is ours, and not a prefix that an organization chose."""
        return not any(bounded.scope.defined_by for bounded in self.scopes)

    @property
    def risk(self) -> str | None:
        return highest_risk(bounded.scope.risk_level for bounded in self.scopes)


@dataclass(frozen=True)
class Connection:
    """A consent as pages show it. `withdrawn` are the granted scopes that the agent may no longer use."""

    consent: Consent
    status: str
    granted: list[Scope]
    usage: Usage

    @cached_property
    def terms(self) -> Terms:
        return Terms.read(self.consent.terms)

    @cached_property
    def scopes(self) -> list[Scope]:
        live = self.consent.live_scopes()
        return [scope for scope in self.granted if scope.id in live]

    @property
    def withdrawn(self) -> list[Scope]:
        live = self.consent.live_scopes()
        return [scope for scope in self.granted if scope.id not in live]

    @property
    def risk(self) -> str | None:
        return highest_risk(scope.risk_level for scope in self.scopes)

    @property
    def is_live(self) -> bool:
        return self.status == LIVE

    @property
    def is_suspended(self) -> bool:
        """Whether all of the agent's requests are denied because it or its organization is suspended."""
        return not self.consent.agent.may_act

    @property
    def is_paused(self) -> bool:
        """Whether the user has paused this agent. Pausing all agents is separate."""
        return self.is_live and self.consent.paused_at is not None

    @property
    def can_remove(self) -> bool:
        """Whether a scope can be removed. The last one can only be removed by revoking the connection."""
        return self.is_live and len(self.consent.granted_scopes) > 1

    @property
    def ended_at(self) -> datetime | None:
        """When the user refused or revoked it, or when it expired."""
        return self.consent.revoked_at or (
            self.consent.expires_at if self.status == Consent.Status.EXPIRED else self.consent.decided_at
        )

    @property
    def last_used(self) -> datetime | None:
        return self.usage.uses.last_at

    @property
    def last_acts(self) -> list[Scope]:
        """The scopes that the agent used last, without those that are no longer granted."""
        used = [scope for scope, use in self.usage.uses.scopes.items() if use.last_at == self.last_used]
        return [scope for scope in self.granted if scope.id in used]

    @cached_property
    def bounded(self) -> list[BoundedScope]:
        return [self._bounded(scope) for scope in self.scopes]

    @property
    def free(self) -> Powers:
        return Powers.of(bounded for bounded in self.bounded if not bounded.asks and bounded.guard == ALLOW)

    @property
    def guarded(self) -> Powers:
        """What is allowed without asking until data could leave; then the data flow guard denies it or asks."""
        return Powers.of(bounded for bounded in self.bounded if not bounded.asks and bounded.guard != ALLOW)

    @property
    def asked(self) -> Powers:
        return Powers.of(bounded for bounded in self.bounded if bounded.asks)

    @property
    def groups(self) -> list[Group]:
        """Return the scopes by service, in the order of the grant."""
        found: dict[str, list[BoundedScope]] = {}
        for bounded in self.bounded:
            found.setdefault(bounded.scope.category, []).append(bounded)
        return [Group(category, scopes) for category, scopes in found.items()]

    @property
    def unused(self) -> list[Scope]:
        """Return the scopes that the user could remove because the agent does not use them."""
        return [bounded.scope for bounded in self.bounded if bounded.is_unused]

    @property
    def is_wholly_unused(self) -> bool:
        return bool(self.unused) and len(self.unused) == len(self.consent.granted_scopes)

    @property
    def guard(self) -> str:
        """Return the mode of the data flow guard."""
        return self.terms.guards.get(DATA_FLOW, ALLOW)

    @property
    def guards(self) -> Sequence[str]:
        """Return the guard modes that the user can choose, or none if the scopes need no guard."""
        labels = {label for scope in self.scopes for label in scope.labels}
        if not self.is_live or (self.guard == ALLOW and not labels >= LABELS):
            return ()
        return GUARD_MODES[guard_rank(self.guard) :]

    def editor(self, scope: Scope, **kept: Any) -> LimitFields:
        """Return the fields for the limits of a scope."""
        return limit_fields(scope, self.terms.limits.get(scope.id, ()), **kept)

    def _bounded(self, scope: Scope) -> BoundedScope:
        is_handed = hands_on(self.consent, scope.id)
        return BoundedScope(
            scope,
            self.usage.uses.scopes.get(scope.id),
            asks=self.terms.modes.get(scope.id) == ASK and not is_handed,
            always_asks=scope.id in self.terms.critical or bool(always_asking([scope])),
            guard=self.guard if OUTBOUND in scope.labels and not is_handed else ALLOW,
            limits=limits_in_words(self.terms.limits.get(scope.id, ())),
            targets=identifiers_of(self.consent, scope.id),
            is_unused=scope.id in self.usage.suggested_removals,
            hands_on=is_handed,
        )


def describe_connections(consents: Sequence[Consent], replaced: Sequence[Consent] | None = None) -> list[Connection]:
    """Return the consents with their scopes and uses, in the same order.

    `replaced` are all that they replaced, if these have been read.
    """
    now = clock.now()
    usage: Mapping[str, Usage] = usage_of(consents, now, replaced)
    return [Connection(one, one.status_at(now), agreed_scopes(one), usage[one.id]) for one in consents]
