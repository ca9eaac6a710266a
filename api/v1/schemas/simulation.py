"""Request and response models for simulations of policies."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from api.v1.schemas.base import GivenMoment, Line, Moment, Omittable, Out, RequestBody, Text
from api.v1.schemas.policies import MAX_AGENT_ID, AgentId, GivenRules, Name
from api.v1.schemas.tokens import MAX_ACTION, MAX_RESOURCE, MAX_SCOPES, Context, ScopeId, check_context
from core.chains import MAX_DEPTH
from core.validation import invalid_fields, invalid_value
from decisions.whatif.replaying import Change, Gap, Place, Totals
from decisions.whatif.simulation import ReplayReport, Simulation
from policies.engine import Outcome, Traced

MAX_DAYS = 30
# Arithmetic of dates fails near the ends of what they can represent.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
# More agents and rules than a person can look through.
MAX_CHANGES = 200

UserId = Annotated[Text, Field(max_length=MAX_AGENT_ID)]


def _check_moment(at: datetime) -> datetime:
    if not EARLIEST <= at < LATEST:
        raise invalid_value(f"Must be from {EARLIEST.year} to {LATEST.year - 1}.")
    return at


class DraftBody(RequestBody):
    """A policy that is not saved. Without `agentId`, it is for all agents."""

    name: Name = "Draft"
    agent_id: AgentId | None = None
    rules: GivenRules


class SimulatedLinkBody(RequestBody):
    """An agent of a chain. `organizationId` is that of another organization's agent.

    `delegationId` changes nothing.
    """

    agent_id: AgentId
    organization_id: Text | None = Field(None, max_length=MAX_AGENT_ID)
    delegation_id: Text | None = Field(None, max_length=MAX_AGENT_ID)


class SimulatedRequestBody(RequestBody):
    """The request to decide, as in verify. `at` is when, by default now.

    If the work was handed on, `chain` has the agents from the first one to `agentId`, as entries of the log have them.
    The policies then see the request as one of each of them.
    """

    agent_id: AgentId
    chain: Omittable[list[SimulatedLinkBody]] = Field(None, min_length=2, max_length=MAX_DEPTH + 1)
    user_id: UserId | None = None
    required_scopes: list[ScopeId] = Field(min_length=1, max_length=MAX_SCOPES)
    action: Omittable[Line] = Field(None, max_length=MAX_ACTION)
    resource: Omittable[Line] = Field(None, max_length=MAX_RESOURCE)
    context: Annotated[Context, BeforeValidator(check_context)] = Field(default_factory=Context)
    at: Omittable[Annotated[GivenMoment, AfterValidator(_check_moment)]] = None

    @model_validator(mode="after")
    def require_chain(self) -> Self:
        agents = [link.agent_id for link in self.chain or ()]
        if agents and (agents[-1] != self.agent_id or len(set(agents)) < len(agents)):
            raise invalid_fields(type(self), [("chain", "Must name each agent once, and end with agentId.")])
        return self


class ReplayBody(RequestBody):
    """The last days of the log to decide again."""

    days: int = Field(ge=1, le=MAX_DAYS)


class SimulateBody(RequestBody):
    """A draft in `policy`, a stored policy by `policyId`, or both: the draft in place of the stored policy.

    Either `request` or `replay` says what it decides.
    """

    policy: Omittable[DraftBody] = None
    policy_id: Omittable[Text] = Field(None, max_length=MAX_AGENT_ID)
    request: Omittable[SimulatedRequestBody] = None
    replay: Omittable[ReplayBody] = None

    @model_validator(mode="after")
    def require_one_of_each(self) -> Self:
        if self.policy is None and self.policy_id is None:
            raise invalid_fields(type(self), [("policy", "This field or policyId is required.")])
        if self.request is not None and self.replay is not None:
            raise invalid_fields(type(self), [("replay", "Must not be together with request.")])
        return self


class SimulatedRuleOut(Out):
    """What one rule said of the request."""

    rule_index: int
    rule_type: str
    outcome: Literal["passed", "denied", "asked", "not_concerned"]
    detail: str | None
    retry_after_seconds: int | None


class SimulatedDecisionOut(Out):
    """What the policy said of the request: that of its strictest rule, `not_concerned` if it has none for it."""

    outcome: Literal["passed", "denied", "asked", "not_concerned"]
    trace: list[SimulatedRuleOut]


class ReplayChangeOut(Out):
    """How often one rule changed decisions about one agent.

    The rule is the draft's if `policyId` is null. Otherwise it is the rule of the replaced policy that had denied, or
    a rule of another policy that asks.
    """

    agent_id: str
    policy_id: str | None
    rule_type: str
    rule_index: int
    newly_denied: int
    newly_allowed: int
    newly_asked: int


class UndecidedOut(Out):
    """How many requests the policy could not decide, by the reason.

    The log has only the beginning of a long context (`truncated`), personal data was erased, or the address of another
    organization's agent is hidden from this organization.
    """

    truncated: int
    erased: int
    hidden: int


class ReplayOut(Out):
    """The decisions of the log from `from` to `to`, and how the policy changes them. All others stay the same.

    `truncated` means that the replay ended early, so it lacks the newest decisions. `changes` has the most frequent.
    """

    from_: Moment | None = Field(serialization_alias="from")
    to: Moment | None
    decisions: int
    newly_denied: int
    newly_allowed: int
    newly_asked: int
    undecided: UndecidedOut
    changes: list[ReplayChangeOut]
    truncated: bool


class SimulationOut(Out):
    """The outcome for the request, or that of the replay."""

    decision: Omittable[SimulatedDecisionOut] = None
    replay: Omittable[ReplayOut] = None


def show_simulation(simulation: Simulation) -> SimulationOut:
    rules = [_show_rule(each) for each in simulation.rules]
    return SimulationOut(decision=SimulatedDecisionOut(outcome=simulation.outcome.value, trace=rules))


def show_replay(report: ReplayReport) -> SimulationOut:
    totals = report.totals
    return SimulationOut(
        replay=ReplayOut(
            from_=totals.first,
            to=totals.last,
            decisions=totals.decisions,
            newly_denied=totals.changes[Change.NEWLY_DENIED],
            newly_allowed=totals.changes[Change.NEWLY_ALLOWED],
            newly_asked=totals.changes[Change.NEWLY_ASKED],
            undecided=UndecidedOut(
                truncated=totals.gaps[Gap.TRUNCATED], erased=totals.gaps[Gap.ERASED], hidden=totals.gaps[Gap.HIDDEN]
            ),
            changes=list(_show_changes(totals)),
            truncated=report.is_truncated,
        )
    )


def _show_rule(traced: Traced) -> SimulatedRuleOut:
    return SimulatedRuleOut(
        rule_index=traced.rule.index,
        rule_type=traced.rule.type,
        outcome=Outcome(traced.outcome).value,
        detail=traced.detail or None,
        retry_after_seconds=traced.retry_after_seconds,
    )


def _show_changes(totals: Totals) -> Iterable[ReplayChangeOut]:
    """Yield the places where most changes are, at most `MAX_CHANGES`."""
    places: list[Place] = sorted(totals.places, key=lambda place: -totals.places[place].total())
    for place in places[:MAX_CHANGES]:
        found = totals.places[place]
        yield ReplayChangeOut(
            agent_id=place.agent_id,
            policy_id=place.policy_id,
            rule_type=place.rule_type,
            rule_index=place.rule_index,
            newly_denied=found[Change.NEWLY_DENIED],
            newly_allowed=found[Change.NEWLY_ALLOWED],
            newly_asked=found[Change.NEWLY_ASKED],
        )
