"""What the agent of a connection has handed to other agents, as a tree: what each may do, and how it is bounded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Case, Q, When
from django.utils.translation import gettext as _

from agents.models import Agent
from consent.models import Consent
from consent.selectors import agreed_scopes
from core.formats import money, number
from core.text import plain_text
from resources.catalogue import Scope
from tokens.delegation_selectors import Branch, State, Use, branches_of, delegations_of, levels_below, read_states
from tokens.models import Delegation
from web.user.connections.limits.descriptions import limits_in_words, of_scope, targets_in_words

# What has ended is shown this long.
RECENT = timedelta(days=1)
# The number of delegations that a page shows, live and ended ones apart, and of agents that a list names.
MAX_SHOWN = 50
NOT_ENDED = Q(ended_at=None)


@dataclass(frozen=True, slots=True)
class Handed:
    """One delegation: `scopes` in the words that the user agreed to, and how it is bounded, in sentences."""

    row: Delegation
    scopes: list[Scope]
    bounds: list[str]
    below: list["Handed"] = field(default_factory=list)

    @property
    def is_taken_over(self) -> bool:
        """Whether the agent has redeemed its token."""
        return self.row.redeemed_at is not None

    @property
    def is_others(self) -> bool:
        """Whether the agent belongs to another organization than that which handed it over."""
        return bool(self.row.to_agent.organization_id != self.row.from_agent.organization_id)

    @property
    def ended_at(self) -> datetime:
        """When it ended by itself. It may have ended earlier, with one above it."""
        return min(self.row.ended_at or self.row.expires_at, self.row.expires_at)


@dataclass(frozen=True, slots=True)
class Tree:
    """The live delegations of a connection, those directly by its agent first, and those that have just ended.

    `number` is that of all live ones. `live` can have fewer.
    """

    live: list[Handed]
    number: int
    ended: list[Handed]

    @property
    def not_shown(self) -> int:
        return max(0, self.number - MAX_SHOWN)


def tree_of(consent: Consent, now: datetime) -> Tree | None:
    """Return what was handed on under a connection, or None if nothing was in the last day."""
    branches = branches_of(consent, now)
    ids = [branch.id for branch in branches]
    shown, not_shown = ids[:MAX_SHOWN], ids[MAX_SHOWN:]
    recent = delegations_of(consent).filter(NOT_ENDED | Q(ended_at__gt=now - RECENT), expires_at__gt=now - RECENT)
    # First those that are live, then the newest of those that have ended.
    first = Case(When(pk__in=shown, then=0), default=1)
    rows = recent.exclude(pk__in=not_shown).order_by(first, "-id")[: len(shown) + MAX_SHOWN]
    states = read_states(rows, now)
    if not states:
        return None
    titles = {scope.id: scope for scope in agreed_scopes(consent)}
    live = {state.delegation.pk: _describe(state, titles) for state in states if state.is_active}
    return Tree(
        live=_nested(live, shown),
        number=len(ids),
        ended=[_describe(state, titles) for state in states if not state.is_active],
    )


def has_handed_on(consent: Consent, now: datetime) -> bool:
    """Return whether something is handed on now, which ends or pauses with the connection."""
    return bool(branches_of(consent, now))


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends with a delegation: `names` of the agents below it, and how many more agents."""

    handed: Handed
    names: list[str]
    further: int


def what_ends(delegation: Delegation, now: datetime) -> Ending | None:
    """Return what ends if the user cuts off the agent, or None if it has ended already."""
    (state,) = read_states([delegation], now)
    if not state.is_active:
        return None
    titles = {scope.id: scope for scope in agreed_scopes(delegation.consent)}
    names, further = _names_of(levels_below(delegation.pk, branches_of(delegation.consent, now)))
    return Ending(_describe(state, titles), names, further)


def what_ends_with(consent: Consent, now: datetime) -> tuple[list[str], int]:
    """Return the names of the agents that lose their work with the connection, and how many more these are."""
    return _names_of(branches_of(consent, now))


def _names_of(branches: Iterable[Branch]) -> tuple[list[str], int]:
    """Return the names of the agents, each once, and how many more agents these are."""
    every = list(dict.fromkeys(branch.to_agent_id for branch in branches))
    ids = every[:MAX_SHOWN]
    names = dict(Agent.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}
    return [plain_text(names.get(one, one)) for one in ids], len(every) - len(ids)


def _nested(found: Mapping[str, Handed], order: Sequence[str]) -> list[Handed]:
    """Return those at the top, each with those below it."""
    top: list[Handed] = []
    for one in (found[each] for each in order if each in found):
        above = found.get(one.row.parent_id or "")
        (above.below if above else top).append(one)
    return top


def _describe(state: State, titles: Mapping[str, Scope]) -> Handed:
    row = state.delegation
    scopes = [titles[scope] for scope in row.scopes if scope in titles]
    bounds = [_with_use(use, _title_of(use.scope, titles)) for use in state.uses]
    for scope, targets in row.targets.items():
        bounds += [of_scope(_title_of(scope, titles), sentence) for sentence in targets_in_words(targets)]
    return Handed(row, scopes, bounds)


def _title_of(scope: str, titles: Mapping[str, Scope]) -> str:
    return plain_text(titles[scope].local_title) if scope in titles else scope


def _with_use(use: Use, title: str) -> str:
    """Return a limit in words, with what is used of it."""
    (limit,) = limits_in_words([use.limit])
    if use.used is None:
        return of_scope(title, limit)
    used = money(use.amount) if use.amount else number(use.used)
    return _("%(limit)s (used: %(used)s)") % {"limit": of_scope(title, limit), "used": used}
