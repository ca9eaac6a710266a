"""Simulation of a policy: what it says about one request, or would have said about the decisions in the log.

It writes nothing and counts nothing.
"""

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_noop

from audit.readers.decided import Resolved
from audit.selectors import decisions_for_organization
from core import clock
from core.chains import Link
from core.errors import Unavailable
from decisions.approvals import BatchApprovals
from decisions.settling import Settling
from decisions.tracing import settle_traced
from decisions.whatif.replaying import Replaced, Replay, Totals
from limits.counters import read_counters
from limits.counting import windows_by_key
from limits.flows import LoadedFlow
from limits.models import Counter, Reservation
from limits.reservations import name_in_log
from limits.sliding_window import LoadedCounter
from limits.throttle import Subject, Throttle
from policies.actions import require_known_actions
from policies.engine import CompiledPolicy, Outcome, Traced, compile_policy, trace
from policies.models import Policy
from policies.rules import RuleContext, parse_rules
from policies.rules.budget import Budget
from policies.selectors import policies_for_organization, policies_without_history
from resources.actions import catalogue_actions
from resources.catalogue import catalogue
from resources.covers import Cover
from resources.models import CustomScope
from resources.selectors import actions_of
from tokens.models import Delegation

# Of an organization.
SIMULATION_RATE, REPLAY_RATE = "60/minute", "30/hour"

MAX_DECISIONS = 200_000
MAX_SECONDS = 20.0
MAX_RESERVATIONS = 50_000
# Replays take turns, because each of them uses a processor that decides requests too.
MAX_REPLAYS = 1
DECISIONS_PER_PAUSE = 100
PAUSE_SECONDS = 0.001
# A request counts for at most 65/64 of its window, and clocks differ.
LONGER, SLACK = 65 / 64, timedelta(minutes=1)

STRICTNESS = (Outcome.DENIED, Outcome.ASKED, Outcome.PASSED, Outcome.NOT_CONCERNED)

_places = threading.BoundedSemaphore(MAX_REPLAYS)


class OtherReplay(Unavailable):
    """This process is replaying another policy."""

    code = "replay_busy"
    title = gettext_noop("Another replay is running")
    remedy = "Try again after the number of seconds in Retry-After."
    retry_after = 10


@dataclass(frozen=True, slots=True)
class Simulated:
    """A policy to simulate. `stored` is the policy that it is, or that it replaces, or None for a new one.

    `agent_id` None means every agent.
    """

    name: str
    agent_id: str | None
    rules: Sequence[Mapping[str, Any]]
    stored: Policy | None = None

    @classmethod
    def of(cls, policy: Policy) -> "Simulated":
        """Return a stored policy as it is."""
        return cls(policy.name, policy.agent_id, policy.rules, policy)

    @property
    def id(self) -> str:
        return self.stored.id if self.stored else "draft"

    def compiled_with_history(self) -> CompiledPolicy:
        """Return the policy with the counters that it has now, if it is stored."""
        return self.compiled(self.stored.limit_history if self.stored else None)

    def compiled(self, limit_history: Mapping[str, Any] | None = None) -> CompiledPolicy:
        return compile_policy(self.id, self.name, list(self.rules), limit_history)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a policy says about one request: the outcome, and that of each rule."""

    outcome: Outcome
    rules: Sequence[Traced]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay has found. It is truncated if it ended before the newest decision."""

    totals: Totals
    is_truncated: bool


def throttle_simulation(organization_id: str) -> None:
    """Count a request that is simulated. Raises `Throttled` after too many."""
    Throttle("simulate", SIMULATION_RATE).hit(Subject(f"organization:{organization_id}"))


def throttle_replay(organization_id: str) -> None:
    """Count a replay. Raises `Throttled` after too many."""
    Throttle("replay", REPLAY_RATE).hit(Subject(f"organization:{organization_id}"))


def require_valid(rules: Any, *, organization_id: str) -> None:
    """Raise `InvalidRules` as for a policy that is created."""
    require_known_actions(parse_rules(rules), organization_id=organization_id)


def simulate_request(simulated: Simulated, context: RuleContext, *, organization_id: str) -> Simulation:
    """Decide one request by a policy of this organization. The counters are those of the stored policy, or empty."""
    return simulate_together([simulated], context, organization_id=organization_id)


def simulate_together(policies: Sequence[Simulated], context: RuleContext, *, organization_id: str) -> Simulation:
    """Decide one request by policies of this organization. The counters are empty if none of them is stored.

    Of scopes, only the labels of the catalogue's and of the organization's own matter. Those of others have none, as if
    they did not exist. A request that was handed on is a call of each agent of its chain.
    """
    context = _with_covering(context, organization_id)
    context = context._replace(labels=_Labels(organization_id)(context.asked))
    links = context.chain or (Link(context.agent_id, None, context.organization_id),)
    traced = [each for link in links for each in _trace(policies, context, link, organization_id)]
    settling = _settling(traced, context.now, is_stored=any(policy.stored for policy in policies))
    settled = [settle_traced(each, settling) for each in traced]
    if context.user_id is None:  # There is no user to ask.
        settled = [each._replace(outcome=_without_user(each.outcome)) for each in settled]
    return Simulation(_together(settled), _strictest(settled))


def _trace(policies: Sequence[Simulated], context: RuleContext, link: Link, organization_id: str) -> Sequence[Traced]:
    """Return what each rule says of the request as a call of this agent."""
    concerned = [policy for policy in policies if policy.agent_id in (None, link.agent_id)]
    call = context._replace(
        agent_id=link.agent_id,
        organization_id=link.organization_id,
        policies_of=None if link.organization_id == organization_id else organization_id,
        budget=Budget(),
    )
    return trace([policy.compiled_with_history() for policy in concerned], call)


def _strictest(settled: Iterable[Traced]) -> list[Traced]:
    """Return for each rule the strictest that it says of the agents of a chain."""
    found: dict[tuple[str, int], Traced] = {}
    for each in settled:
        place = each.policy.id, each.rule.index
        if place not in found or STRICTNESS.index(each.outcome) < STRICTNESS.index(found[place].outcome):
            found[place] = each
    return list(found.values())


def _with_covering(context: RuleContext, organization_id: str) -> RuleContext:
    """Return the context with the scope that covers its action, of the lowest risk, as if the agent had it."""
    covers: Sequence[Cover] = ()
    if context.action is not None:
        covers = catalogue_actions().find(context.action) or actions_of(organization_id).find(context.action) or ()
    if not covers or any(cover.scope in context.scopes for cover in covers):
        return context
    return context._replace(scopes=(covers[0].scope, *context.scopes))


def replay_decisions(
    simulated: Simulated,
    *,
    organization_id: str,
    days: int,
    most_seconds: float | None = None,
    agent_ids: Collection[str] | None = None,
) -> ReplayReport:
    """Decide again what verify decided in the last days, about all agents or about these. Raises `OtherReplay`.

    Earlier decisions fill the counters first, as far back as the windows of the limits reach.
    """
    with _place():
        now, ends = clock.now(), time.monotonic() + (most_seconds or MAX_SECONDS)
        since = now - timedelta(days=days)
        replay = Replay(
            simulated.compiled(),
            organization_id=organization_id,
            agent_id=simulated.agent_id,
            replaced=_replaced(simulated, organization_id),
            labels_of=_Labels(),
            task_of=lru_cache(maxsize=None)(_find_task),
            lapses=_lapses(organization_id),
            about=agent_ids,
        )
        start = since - _longest_window(simulated, organization_id)
        for number, decided in enumerate(decisions_for_organization(organization_id, start)):
            if number >= MAX_DECISIONS or replay.is_full or time.monotonic() > ends:
                return ReplayReport(replay.totals, is_truncated=True)
            if isinstance(decided, Resolved):
                replay.resolve(decided)
            else:
                replay.add(decided, is_reported=decided.at >= since)
            if number % DECISIONS_PER_PAUSE == 0:
                time.sleep(PAUSE_SECONDS)  # Let the threads that decide requests run.
        return ReplayReport(replay.totals, is_truncated=False)


class _Labels:
    """The labels of scopes, read once: of the catalogue and of all organizations, or of only one."""

    def __init__(self, organization_id: str | None = None) -> None:
        self._organization_id = organization_id
        self._known: dict[str, frozenset[str]] = {}

    def __call__(self, asked: Collection[str]) -> frozenset[str]:
        return frozenset().union(*map(self._of, asked))

    def _of(self, scope_id: str) -> frozenset[str]:
        if scope_id not in self._known:
            self._known[scope_id] = self._read(scope_id)
        return self._known[scope_id]

    def _read(self, scope_id: str) -> frozenset[str]:
        scope = catalogue().get(scope_id)
        if scope is not None:
            return frozenset(scope.labels)
        own = CustomScope.objects.filter(id=scope_id)
        if self._organization_id is not None:
            own = own.filter(organization_id=self._organization_id)
        found = own.values_list("labels", flat=True).first()
        return frozenset(found or ())


def _find_task(delegation_id: str) -> str | None:
    """Return the task of a delegation, which its calls belong to, or None if it no longer exists."""
    return Delegation.objects.filter(pk=delegation_id).values_list("task", flat=True).first()


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise OtherReplay
    try:
        yield
    finally:
        _places.release()


def _together(settled: Iterable[Traced]) -> Outcome:
    """Return what the rules say together."""
    found = {each.outcome for each in settled}
    return next((outcome for outcome in STRICTNESS if outcome in found), Outcome.NOT_CONCERNED)


def _without_user(outcome: Outcome) -> Outcome:
    return Outcome.DENIED if outcome is Outcome.ASKED else outcome


def _settling(traced: Sequence[Traced], now: datetime, *, is_stored: bool) -> Settling:
    """Return the counters and guards as last committed, or empty ones."""
    requests = [request for each in traced for request in each.requirements.limits]
    keys = {key for each in traced if each.requirements.flow for key in each.requirements.flow.keys}
    rows = Counter.objects.filter(key__in=keys).values_list("key", "counts") if is_stored else ()
    packed = {key: bytes(counts) for key, counts in rows}
    flows = {key: LoadedFlow.unpack(key, packed.get(key, b"")) for key in keys}
    if is_stored:
        counters = read_counters(requests)
    else:
        counters = {key: LoadedCounter(key, window) for key, window in windows_by_key(requests).items()}
    return Settling(counters, flows, BatchApprovals((), now), now)


def _replaced(simulated: Simulated, organization_id: str) -> Replaced | None:
    if simulated.stored is None:
        return None
    return Replaced(policy_id=simulated.stored.id, book=policies_without_history(organization_id))


def _lapses(organization_id: str) -> Mapping[str, datetime]:
    """Return when each reservation lapses, by its name in the log.

    Those that were resolved long ago are deleted, and count in full.
    """
    concerned = Q(organization_id=organization_id) | Q(service_organization_id=organization_id)
    newest = Reservation.objects.filter(concerned).order_by("-expires_at")[:MAX_RESERVATIONS]
    rows = newest.values_list("id", "server_id", "expires_at")
    return {name_in_log(reservation_id, server_id): ends for reservation_id, server_id, ends in rows}


def _longest_window(simulated: Simulated, organization_id: str) -> timedelta:
    """Return for how long a decision can count in the limits and guards that the replay needs."""
    raw: list[Any] = [list(simulated.rules)]
    if simulated.stored is not None:
        raw += policies_for_organization(organization_id).filter(enabled=True).values_list("rules", flat=True)
    seconds = max((_window(rule) for rules in raw if isinstance(rules, list) for rule in rules), default=0)
    return timedelta(seconds=seconds) * LONGER + SLACK if seconds else timedelta()


def _window(rule: Any) -> int:
    config = rule.get("config") if isinstance(rule, dict) else None
    window = config.get("windowSeconds") if isinstance(config, dict) else None
    return window if isinstance(window, int) else 0
