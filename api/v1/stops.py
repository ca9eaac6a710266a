"""Stops of agents: users pause them; the impact of a stop, and the proof that it held."""

from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.stops import (
    AgentStopOut,
    PauseBody,
    PausedAgentsOut,
    PausedConsentOut,
    PauseOut,
    show_agent_stop,
    show_pause,
)
from api.v1.users import OwnEndpoint
from audit.proof.stops import agent_level, connection_level, person_level, prove_stop
from audit.readers.snapshot import take_snapshot
from consent.errors import NotConnected
from consent.pausing import pause_agent, pause_all_agents, paused_all_since, resume_agent, resume_all_agents
from consent.selectors import consent_for_user, current_consent
from core import clock
from developers.impact import impact_on_agent, impact_on_connection, impact_on_user
from developers.roles import Right

PROOF = (
    "`impact` is what the stop ends, or would end. `proof` is what the log says about the newest stop, null if there "
    "was none. "
)


class PauseAgent(OwnEndpoint):
    @operation(
        "pauseUserConsent",
        "Pause an agent",
        description="No verify request that starts after the response is allowed under the consent. The connection and "
        "its tokens remain, and a consent that replaces this one stays paused. Only the user lifts the pause. "
        "Pausing twice changes nothing.",
        answer=PausedConsentOut,
        errors=(NotConnected,),
    )
    def post(self, user_id: str, consent_id: str, body: PauseBody) -> PausedConsentOut:
        consent = consent_for_user(self.user, consent_id)
        return PausedConsentOut.model_validate(pause_agent(actor=self.actor, consent=consent, reason=body.reason))


class ResumeAgent(OwnEndpoint):
    @operation(
        "resumeUserConsent",
        "Resume an agent",
        description="This lifts only the user's pause of this agent. All other stops remain in force, and the pause of "
        "all agents, too. Resuming twice changes nothing.",
        answer=PausedConsentOut,
        errors=(NotConnected,),
    )
    def post(self, user_id: str, consent_id: str, body: EmptyBody) -> PausedConsentOut:
        consent = consent_for_user(self.user, consent_id)
        return PausedConsentOut.model_validate(resume_agent(actor=self.actor, consent=consent, user=self.user))


class ConnectionStop(OwnEndpoint):
    @operation(
        "getUserConsentStop",
        "Get the impact of pausing an agent, and the proof that the pause held",
        description=PROOF + "The pause of all agents has a proof of its own.",
        answer=PauseOut,
    )
    def get(self, user_id: str, consent_id: str) -> PauseOut:
        consent, now, log = current_consent(self.user, consent_id), clock.now(), take_snapshot()
        ids = self.user.id, consent.agent_id
        impact, proof = impact_on_connection(*ids, now, log), prove_stop(connection_level(*ids), log)
        return show_pause(consent.paused_at, impact, proof)


class PauseAllAgents(OwnEndpoint):
    @operation(
        "pauseUserAgents",
        "Pause all agents of the user",
        description="No verify request for the user that starts after the response is allowed, also for agents that "
        "the user allows later. Only the user lifts the pause. Pausing twice changes nothing.",
        answer=PausedAgentsOut,
    )
    def post(self, user_id: str, body: PauseBody) -> PausedAgentsOut:
        return PausedAgentsOut(paused_at=pause_all_agents(actor=self.actor, user=self.user, reason=body.reason))


class ResumeAllAgents(OwnEndpoint):
    @operation(
        "resumeUserAgents",
        "Resume all agents of the user",
        description="Agents that are paused or stopped by themselves remain so. Resuming twice changes nothing.",
        answer=PausedAgentsOut,
    )
    def post(self, user_id: str, body: EmptyBody) -> PausedAgentsOut:
        resume_all_agents(actor=self.actor, user=self.user)
        return PausedAgentsOut(paused_at=None)


class AllAgentsStop(OwnEndpoint):
    @operation(
        "getUserAgentsStop",
        "Get the impact of pausing all agents, and the proof that the pause held",
        description=PROOF,
        answer=PauseOut,
    )
    def get(self, user_id: str) -> PauseOut:
        user_id, now, log = self.user.id, clock.now(), take_snapshot()
        impact, proof = impact_on_user(user_id, now, log), prove_stop(person_level(user_id), log)
        return show_pause(paused_all_since(self.user), impact, proof)


class AgentStop(DeveloperEndpoint):
    @operation(
        "getAgentStop",
        "Get the impact of stopping the agent, and the proof that the stop held",
        description=PROOF
        + "A stop is a suspension by the developer (`PATCH /agents/:id`) or a stop by an administrator.",
        answer=AgentStopOut,
        right=Right.READ,
        about_agents=True,
    )
    def get(self, agent_id: str) -> AgentStopOut:
        agent = self.own_agent(agent_id)
        log = take_snapshot()
        return show_agent_stop(impact_on_agent(agent.id, clock.now(), log), prove_stop(agent_level(agent.id), log))
