"""Replay of a draft policy over decisions of the log: pure, without I/O.

The draft decides each request again, in the order of the log and at the times of its entries, with counters in memory.
What every other policy, scope and token said then stays as it was. A request that was handed on is one of each agent of
its chain, as in `decisions.sides`. If the draft replaces a policy, requests that this
policy denied are decided again also by the organization's other policies.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from audit.readers.decided import Decided, Resolved
from core.chains import Link
from core.money import units_of
from decisions.approvals import BatchApprovals
from decisions.requests import Reason
from decisions.settling import Settling, Verdict
from limits.counting import count_call, windows_by_key
from limits.flows import LoadedFlow
from limits.sliding_window import LoadedCounter
from policies.engine import CompiledPolicy, Evaluation, Limit, Outcome, evaluate
from policies.policy_sets import NO_POLICIES, PolicySet
from policies.rules import RuleContext
from policies.rules.budget import Budget

# Of the counters in memory. A counter takes about 700 bytes.
MAX_COUNTERS = 50_000


class Change(StrEnum):
    """How the draft differs from what the log says."""

    NEWLY_DENIED = "newlyDenied"
    NEWLY_ALLOWED = "newlyAllowed"
    NEWLY_ASKED = "newlyAsked"


class Gap(StrEnum):
    """Why the draft cannot decide a request: what of it the log lacks, or may not use for this organization."""

    TRUNCATED = "truncated"
    ERASED = "erased"
    HIDDEN = "hidden"


class Place(NamedTuple):
    """A rule with the agent that it decided about. `policy_id` is None for a rule of the draft."""

    agent_id: str
    policy_id: str | None
    rule_type: str
    rule_index: int


@dataclass(slots=True)
class Totals:
    """What the replay has found. `first` and `last` are the times of the decisions that are counted."""

    decisions: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    gaps: Counter[Gap] = field(default_factory=Counter)
    places: dict[Place, Counter[Change]] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None

    def change(self, change: Change, place: Place) -> None:
        self.changes[change] += 1
        self.places.setdefault(place, Counter())[change] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """The policy that the draft replaces, and the other policies of its organization."""

    policy_id: str
    book: PolicySet = NO_POLICIES

    def others(self, agent_id: str) -> Sequence[CompiledPolicy]:
        return [policy for policy in self.book.for_agent(agent_id) if policy.id != self.policy_id]


type PoliciesOf = Callable[[str], Sequence[CompiledPolicy]]
type Calls = Sequence[RuleContext]


class PartialCall(RuleContext):
    """A request whose entry lacks facts. `gaps` gets a reason when a rule reads one of them."""

    lacks: dict[str, Gap]
    gaps: set[Gap]

    def __getattribute__(self, name: str) -> object:
        if name in ("ip", "resource", "context", "task"):
            lacks: dict[str, Gap] = object.__getattribute__(self, "lacks")
            if name in lacks:
                object.__getattribute__(self, "gaps").add(lacks[name])
        return object.__getattribute__(self, name)


class Replay:
    """Decides again what is given to `add`, in the order of the log."""

    def __init__(
        self,
        draft: CompiledPolicy,
        *,
        organization_id: str,
        agent_id: str | None = None,
        replaced: Replaced | None = None,
        labels_of: Callable[[Collection[str]], frozenset[str]],
        task_of: Callable[[str], str | None],
        lapses: Mapping[str, datetime] = MappingProxyType({}),
        about: Collection[str] | None = None,
    ) -> None:
        """Make a replay of the draft for one agent or, without `agent_id`, for all.

        Only requests of the agents `about` count, or of all. `task_of` returns the task of a delegation, or None if it
        no longer exists.
        """
        self._draft = (draft,)
        self._organization_id = organization_id
        self._agent_id = agent_id
        self._replaced = replaced
        self._labels_of = labels_of
        self._task_of = task_of
        self._lapses = lapses
        self._about = about
        self._needs_labels = draft.has_flows or (replaced is not None and replaced.book.has_flows)
        self._counters: dict[str, LoadedCounter] = {}
        self._flows: dict[str, LoadedFlow] = {}
        self._holds: dict[str, list[tuple[str, int]]] = {}
        self.totals = Totals()

    @property
    def is_full(self) -> bool:
        """Whether there are more counters than a replay may have."""
        return len(self._counters) + len(self._flows) > MAX_COUNTERS

    def add(self, decided: Decided, *, is_reported: bool = True) -> None:
        """Decide again. Earlier decisions, which only fill the counters, are not reported."""
        links = self._links(decided)
        if self._about is not None and not links:
            return
        totals = self.totals if is_reported else Totals()
        totals.decisions += 1
        totals.first, totals.last = totals.first or decided.at, decided.at
        if not self._is_open(decided) or not links:
            return
        calls = [self._context(decided, link) for link in links]
        verdict = self._judge(self._policies, calls)
        gaps = [gap for call in calls if isinstance(call, PartialCall) for gap in call.gaps]
        if gaps:
            totals.gaps[min(gaps)] += 1
            return
        self._compare(decided, calls, verdict, totals)

    def resolve(self, resolved: Resolved) -> None:
        """Count the final amount of a reservation instead of what is held, or nothing if it was voided."""
        held = self._holds.pop(resolved.reservation_id, ())
        lapses = self._lapses.get(resolved.reservation_id, resolved.at)
        for key, number in held:
            counter = self._counters[key]
            if counter.release(number, lapses) and resolved.final is not None:
                counter.take(units_of(resolved.final), resolved.at)

    def _links(self, decided: Decided) -> Sequence[Link]:
        """Return the agents whose call it was to the policies of the organization, of those that count."""
        if decided.agent_id is None:
            return ()
        links = decided.chain or (Link(decided.agent_id, None, decided.organization_id),)
        if decided.chain:
            own = [link for link in links if link.organization_id == self._organization_id]
            is_service = self._organization_id in decided.service_organization_ids
            links = (*own, *(link for link in links if is_service and link not in own))
        return links if self._about is None else [link for link in links if link.agent_id in self._about]

    def _is_open(self, decided: Decided) -> bool:
        """Return whether the draft can change the decision: nothing else denied the request."""
        if decided.is_allowed or decided.reason == Reason.APPROVAL_REQUIRED:
            return True
        return decided.reason == Reason.POLICY_DENIED and self._was_by_replaced(decided)

    def _was_by_replaced(self, decided: Decided) -> bool:
        return self._replaced is not None and decided.policy_id == self._replaced.policy_id

    def _policies(self, agent_id: str) -> Sequence[CompiledPolicy]:
        return self._draft if self._agent_id in (None, agent_id) else ()

    def _compare(self, decided: Decided, calls: Calls, verdict: Verdict, totals: Totals) -> None:
        """Note how the draft changes the decision, and count the request if it is allowed now."""
        if verdict.outcome is Outcome.DENIED:
            if decided.is_allowed or decided.reason == Reason.APPROVAL_REQUIRED:
                totals.change(Change.NEWLY_DENIED, self._place(self._policies, calls, verdict))
        elif decided.is_allowed:
            if verdict.outcome is Outcome.ASKED and "approvalId" not in decided.metadata:
                totals.change(Change.NEWLY_ASKED, self._place(self._policies, calls, verdict))
            else:
                self._count(decided, calls, verdict)
        elif self._was_by_replaced(decided) and "askedScopes" not in decided.metadata:
            self._reconsider(decided, calls, verdict, totals)

    def _reconsider(self, decided: Decided, calls: Calls, verdict: Verdict, totals: Totals) -> None:
        """Note what happens to a request that the replaced policy stopped and the draft does not deny."""
        others = self._judge(self._others, calls)
        was_asked = decided.reason == Reason.APPROVAL_REQUIRED
        if others.outcome is Outcome.DENIED:
            return
        if Outcome.ASKED in (verdict.outcome, others.outcome):
            if not was_asked:
                is_draft = verdict.outcome is Outcome.ASKED
                policies_of, asking = (self._policies, verdict) if is_draft else (self._others, others)
                totals.change(Change.NEWLY_ASKED, self._place(policies_of, calls, asking))
            return
        place = Place(calls[0].agent_id, decided.policy_id, *decided.rule)
        totals.change(Change.NEWLY_ALLOWED, place)
        self._take(decided, verdict.evaluation)
        self._take(decided, others.evaluation)

    def _count(self, decided: Decided, calls: Calls, verdict: Verdict) -> None:
        """Count an allowed request, also for the other policies, which may have to decide about a later one."""
        self._take(decided, verdict.evaluation)
        if any(self._counting(call.agent_id) for call in calls):
            self._take(decided, self._judge(self._counting, calls).evaluation)

    def _take(self, decided: Decided, evaluation: Evaluation) -> None:
        """Count an allowed request in its limits and guards. Its amounts are held if it reserved them."""
        reservation_id = decided.metadata.get("reservationId", "")
        lapses = self._lapses.get(reservation_id)
        count_call(evaluation.counter_requests, self._counters, decided.at, lapses)
        if lapses:
            amounts = {each.key: each.number for each in evaluation.counter_requests if each.is_amount}
            self._holds.setdefault(reservation_id, []).extend(amounts.items())
        for flow in evaluation.flows:
            flow.request.mark(self._flows, decided.at)

    def _others(self, agent_id: str) -> Sequence[CompiledPolicy]:
        return self._replaced.others(agent_id) if self._replaced else ()

    def _counting(self, agent_id: str) -> Sequence[CompiledPolicy]:
        return [one for one in self._others(agent_id) if any(rule.counters or rule.flow for rule in one.rules)]

    def _judge(self, policies_of: PoliciesOf, calls: Calls) -> Verdict:
        """Decide a request as a call of each of these agents. If several say no, the first one does."""
        context, *further = calls
        evaluation = evaluate(policies_of(context.agent_id), context)
        for call in further:
            if evaluation.denied_by is None:
                evaluation = evaluation.joined(evaluate(policies_of(call.agent_id), call))
        if evaluation.denied_by is not None:
            return Verdict(Outcome.DENIED, evaluation, evaluation.denied_by)
        self._load(evaluation)
        full = next((limit for limit in evaluation.limits if self._is_full(limit, context.now)), None)
        if full is not None:
            return Verdict(Outcome.DENIED, evaluation, full.denial(None))
        # Most requests have no more to settle, and settling takes several times as long.
        if evaluation.flows or any(request.carried for request in evaluation.counter_requests):
            return self._settle(evaluation, context)
        return Verdict(Outcome.PASSED, evaluation)

    def _settle(self, evaluation: Evaluation, context: RuleContext) -> Verdict:
        settling = Settling(self._counters, self._flows, BatchApprovals((), context.now), context.now)
        return settling.find_verdict(evaluation, has_user=bool(context.user_id))

    def _is_full(self, limit: Limit, now: datetime) -> bool:
        """Return whether the request does not fit. When it would fit takes several times as long to find out."""
        request = limit.request
        return not request.carried and self._counters[request.key].used(now) + request.number > request.limit

    def _load(self, evaluation: Evaluation) -> None:
        for key, window in windows_by_key(evaluation.counter_requests).items():
            if key not in self._counters:
                self._counters[key] = LoadedCounter(key, window)
        for flow in evaluation.flows:
            for key in flow.request.keys:
                if key not in self._flows:
                    self._flows[key] = LoadedFlow(key)

    def _place(self, policies_of: PoliciesOf, calls: Calls, verdict: Verdict) -> Place:
        """Return the rule that denied or asked, and about which of the agents."""
        denial = verdict.denial
        if denial is None:
            raise ValueError("Only a denial or a question has a place.")
        policy_id = None if denial.policy_id == self._draft[0].id else denial.policy_id
        *others, last = calls
        found = (call for call in others if self._judge(policies_of, [call]).outcome is verdict.outcome)
        return Place(next(found, last).agent_id, policy_id, denial.rule_type, denial.rule_index)

    def _context(self, decided: Decided, link: Link) -> RuleContext:
        asked = (*decided.scopes, decided.action) if decided.action else tuple(decided.scopes)
        task = self._task_of(decided.chain[-1].delegation_id or "") if decided.chain else ""
        facts = RuleContext(
            now=decided.at,
            agent_id=link.agent_id,
            scopes=tuple(decided.scopes),
            action=decided.action,
            resource=decided.resource,
            ip=decided.ip,
            context=decided.context or {},
            user_id=decided.user_id,
            organization_id=link.organization_id,
            labels=self._labels_of(asked) if self._needs_labels else frozenset(),
            budget=Budget(),
            chain=decided.chain,
            task=task or "",
        )
        lacks = self._lacks(decided)
        if task is None:
            lacks["task"] = Gap.ERASED
        if not lacks:
            return facts
        call = PartialCall(*facts)
        call.lacks, call.gaps = lacks, set()
        return call

    def _lacks(self, decided: Decided) -> dict[str, Gap]:
        """Return the facts that are missing, and why. The address of another organization's agent is not used."""
        if decided.is_erased:
            return dict.fromkeys(("ip", "resource", "context"), Gap.ERASED)
        lacks = {"context": Gap.TRUNCATED} if decided.context is None else {}
        if decided.organization_id != self._organization_id:
            lacks["ip"] = Gap.HIDDEN
        return lacks
