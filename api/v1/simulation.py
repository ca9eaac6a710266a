"""Simulation of policies before they are in force."""

from agents.selectors import agent_for_organization
from api.operations import operation
from api.v1.policies import PolicyEndpoint, own_agent
from api.v1.schemas.simulation import (
    DraftBody,
    SimulateBody,
    SimulatedLinkBody,
    SimulatedRequestBody,
    SimulationOut,
    show_replay,
    show_simulation,
)
from core import clock
from core.chains import Link
from core.errors import FieldError, Invalid, NotFound, Throttled
from core.net import canonical_address
from decisions.whatif.simulation import (
    OtherReplay,
    Simulated,
    replay_decisions,
    require_valid,
    simulate_request,
    throttle_replay,
    throttle_simulation,
)
from developers.roles import Right
from policies.models import Policy
from policies.rules import InvalidRules, RuleContext


class Simulate(PolicyEndpoint):
    @operation(
        "simulatePolicy",
        "Simulate a policy",
        description="Decides one request, with what each rule says, or decides again what the log has of the last days "
        "and counts what would change. Nothing is written or counted. The counters of a draft start empty, those of a "
        "stored policy are as they are. A replay counts limits in the order and at the times of the log. It starts "
        "earlier, within the windows of the limits, and does not include the last seconds. It decides at most "
        "200,000 decisions in at most 20 seconds. An organization may simulate 60 requests per minute "
        "and replay 30 times per hour. A key that is limited to some agents simulates requests of these agents, and "
        "replays policies of one of them.",
        answer=SimulationOut,
        errors=(NotFound, OtherReplay, Throttled),
        request_example={
            "policy": {
                "rules": [
                    {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}}
                ]
            },
            "replay": {"days": 7},
        },
        right=Right.DEVELOP,
        about_agents=True,
        while_deleting=True,
    )
    def post(self, body: SimulateBody) -> SimulationOut:
        organization_id = self.organization_id
        throttle_simulation(organization_id)
        simulated = self._simulated(body.policy, body.policy_id)
        if body.request is not None:
            context = self._context(body.request)
            return show_simulation(simulate_request(simulated, context, organization_id=organization_id))
        if body.replay is None:
            raise Invalid.field("request", "This field or replay is required.")
        self._require_reach(simulated)
        throttle_replay(organization_id)
        report = replay_decisions(
            simulated, organization_id=organization_id, days=body.replay.days, agent_ids=self.access.agent_ids
        )
        return show_replay(report)

    def _simulated(self, draft: DraftBody | None, policy_id: str | None) -> Simulated:
        """Return the policy to simulate. Raises `NotFound`, and `Invalid` for an invalid draft."""
        with self.access.hiding_absence():
            stored = self.policy(policy_id) if policy_id is not None else None
        if stored is not None and stored.agent_id is not None:
            self.access.require_agent(stored.agent_id)
        if draft is not None:
            return self._draft(draft, stored)
        if stored is None:
            raise NotFound("No such policy.")
        return Simulated.of(stored)

    def _draft(self, draft: DraftBody, stored: Policy | None) -> Simulated:
        organization_id = self.organization_id
        try:
            require_valid(draft.rules, organization_id=organization_id)
        except InvalidRules as error:
            errors = tuple(FieldError(f"policy.{each.field}", each.message) for each in error.errors)
            raise InvalidRules(error.detail, errors=errors) from error
        if draft.agent_id is not None and self.access.agent_ids is not None:
            self.own_agent(draft.agent_id)
        agent = own_agent(organization_id, draft.agent_id, "policy.agentId") if draft.agent_id else None
        return Simulated(draft.name, agent.id if agent else None, draft.rules, stored)

    def _require_reach(self, simulated: Simulated) -> None:
        """Raise `KeyLimited` if a limited key would learn from a replay about other agents."""
        replaced = simulated.stored
        if simulated.agent_id is None or (replaced is not None and replaced.agent_id is None):
            self.access.require_unlimited()

    def _context(self, request: SimulatedRequestBody) -> RuleContext:
        ip = request.context.get("ip")
        agent_id, organization_id = self._caller(request.agent_id)
        return RuleContext(
            now=request.at or clock.now(),
            agent_id=agent_id,
            scopes=tuple(request.required_scopes),
            action=request.action,
            resource=request.resource,
            ip=canonical_address(ip) if ip else None,
            context=request.context,
            user_id=request.user_id,
            organization_id=organization_id,
            chain=[self._link(each) for each in request.chain or ()],
        )

    def _link(self, stated: SimulatedLinkBody) -> Link:
        agent_id, organization_id = self._caller(stated.agent_id)
        return Link(agent_id, stated.delegation_id, organization_id or stated.organization_id)

    def _caller(self, agent_id: str) -> tuple[str, str | None]:
        """Return the agent and its organization. Another organization's agent can call this one's services too."""
        try:
            found, organization_id = agent_for_organization(self.organization_id, agent_id).id, self.organization_id
        except NotFound:
            found, organization_id = agent_id, None
        self.access.require_agent(found)
        return found, organization_id
