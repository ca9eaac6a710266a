"""Stops: their impact, and the proof that they held."""

from datetime import datetime

from pydantic import Field

from api.v1.schemas.audit import EventName
from api.v1.schemas.base import BlankLine, Moment, Out, RequestBody
from audit.proof.stops import StopProof
from developers.impact import Impact

MAX_REASON = 300


class PauseBody(RequestBody):
    """Why the user pauses. Only the user can read it."""

    reason: BlankLine = Field("", max_length=MAX_REASON)


class PausedConsentOut(Out):
    """The consent: the one in the path, or the one that replaced it."""

    id: str
    paused_at: Moment | None


class PausedAgentsOut(Out):
    """Since when all agents of the user are paused, or null."""

    paused_at: Moment | None


class ImpactOut(Out):
    """The impact of a stop: live connections, agents, and token families that can still yield tokens.

    `allowedLastDay` counts the requests that were allowed in the last 24 hours.
    """

    connections: int
    agents: int
    live_tokens: int
    allowed_last_day: int
    last_allowed_at: Moment | None


class AgentImpactOut(Out):
    """The impact of stopping an agent: live connections, their users, and token families that can still yield tokens.

    `allowedLastDay` counts the requests that were allowed in the last 24 hours.
    """

    connections: int
    users: int
    live_tokens: int
    allowed_last_day: int
    last_allowed_at: Moment | None


class LoggedDecisionOut(Out):
    """A decision in the log. `index` is null until the log has it."""

    id: str
    timestamp: Moment
    index: int | None


class StopProofOut(Out):
    """What the log says about the newest stop, from its entry `entryId` on.

    The order is that of the log, by `index`: a stop waits for the decisions in progress, so one before it can have a
    slightly later timestamp. `lastAllowed` is the last allowed decision before the stop. `allowedAfter` counts those
    after it, up to `until`, when the stop was lifted; null if it is in force. It is 0 unless something is wrong.
    `checkpoint` is a signed checkpoint that covers the entry. `index` and `checkpoint` are null for a moment after the
    stop.
    """

    event: EventName
    reason: str | None
    stopped_at: Moment
    entry_id: str
    index: int | None
    last_allowed: LoggedDecisionOut | None
    allowed_after: int
    until: Moment | None
    checkpoint: str | None


class PauseOut(Out):
    """The impact of a pause and, once there was one, its proof. `pausedAt` is null unless it is in force."""

    paused_at: Moment | None
    impact: ImpactOut
    proof: StopProofOut | None


class AgentStopOut(Out):
    """The impact of stopping the agent and, once it was suspended or stopped, the proof."""

    impact: AgentImpactOut
    proof: StopProofOut | None


class OrganizationImpactOut(AgentImpactOut):
    """The impact of stopping all agents of an organization, like that of one agent, with the number that run."""

    agents: int


class OrganizationStopOut(Out):
    """The impact of stopping all agents of the organization and, once it was stopped, the proof."""

    impact: OrganizationImpactOut
    proof: StopProofOut | None


def show_pause(paused_at: datetime | None, impact: Impact, proof: StopProof | None) -> PauseOut:
    return PauseOut(paused_at=paused_at, impact=ImpactOut.model_validate(impact), proof=_show_proof(proof))


def show_agent_stop(impact: Impact, proof: StopProof | None) -> AgentStopOut:
    return AgentStopOut(impact=AgentImpactOut.model_validate(impact), proof=_show_proof(proof))


def show_organization_stop(impact: Impact, proof: StopProof | None) -> OrganizationStopOut:
    return OrganizationStopOut(impact=OrganizationImpactOut.model_validate(impact), proof=_show_proof(proof))


def _show_proof(proof: StopProof | None) -> StopProofOut | None:
    if proof is None:
        return None
    last = proof.last_allowed
    return StopProofOut(
        event=proof.event,
        reason=proof.reason,
        stopped_at=proof.stopped_at,
        entry_id=proof.entry_id,
        index=proof.index,
        last_allowed=LoggedDecisionOut.model_validate(last) if last else None,
        allowed_after=proof.allowed_after,
        until=proof.lifted_at,
        checkpoint=proof.checkpoint,
    )
