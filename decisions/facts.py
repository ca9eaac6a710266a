"""The live facts of a batch of requests: tokens with related rows, services and policies, in one query each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from agents.models import Agent
from consent.models import Consent
from decisions.asking import Service, find_services
from decisions.requests import VerifyRequest
from policies.engine import CompiledPolicy, PolicyDenial
from policies.selectors import PolicySet, enabled_policies
from tokens.access_tokens import Claims
from tokens.models import AccessToken

FACTS = (
    "family__consent",
    "application__organization",
    "user",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """A stored token and its related rows, read in the decision's transaction.

    `agent_policies` are those of the agent's organization. `service_policies` are those of the service's organization
    if it is another one. Both apply to the request.
    """

    token: AccessToken
    service: Service | None
    agent_policies: Sequence[CompiledPolicy]
    service_policies: Sequence[CompiledPolicy]

    @property
    def agent(self) -> Agent:
        agent: Agent = self.token.application
        return agent

    @property
    def organization_id(self) -> str | None:
        """The agent's organization. None for a stock client."""
        organization_id: str | None = self.agent.organization_id
        return organization_id

    @property
    def service_organization_id(self) -> str | None:
        return _affected(self.service, self.audience, self.organization_id)

    @property
    def policies(self) -> list[CompiledPolicy]:
        return [*self.agent_policies, *self.service_policies]

    @property
    def consent(self) -> Consent | None:
        return self.token.family.consent

    @property
    def audience(self) -> list[str]:
        audience: list[str] = self.token.resource
        return audience

    @property
    def granted_scopes(self) -> tuple[str, ...]:
        """The scopes of the token that the agent is still allowed and the user still grants."""
        allowed = self.agent.allowed_among(self.token.scope.split())
        return tuple(self.token.family.granted_among(allowed))

    def is_expired(self, now: datetime) -> bool:
        return bool(self.token.expires <= now)

    def owner_of(self, denial: PolicyDenial | None) -> str | None:
        """Return the organization whose policy denied the request, or None if no policy did."""
        if denial is None:
            return None
        is_service = any(policy.id == denial.policy_id for policy in self.service_policies)
        return self.service_organization_id if is_service else self.organization_id


@dataclass(frozen=True, slots=True)
class DeletedToken:
    """A token that we signed but whose row is deleted: swept after it expired, or deleted with its user or agent."""

    agent: Agent | None
    service_organization_id: str | None

    @property
    def organization_id(self) -> str | None:
        return self.agent.organization_id if self.agent else None


Asked = tuple[VerifyRequest, Claims]


def load_facts(asked: Sequence[Asked]) -> list[Facts | DeletedToken]:
    """Return the facts for each request, in order.

    Danger: call this in the decision's transaction, under the decision lock. Facts read earlier may miss a revocation
    that has already returned.
    """
    tokens = _tokens({claims.token_id for _, claims in asked})
    services = find_services([request for request, _ in asked])
    agents = _agents({claims.client_id for _, claims in asked if claims.token_id not in tokens})
    policies = enabled_policies(_organizations(tokens.values(), services))
    return [
        _facts(tokens[claims.token_id], service, policies)
        if claims.token_id in tokens
        else _deleted(claims, agents.get(claims.client_id), service)
        for (_, claims), service in zip(asked, services, strict=True)
    ]


def _tokens(ids: Collection[str]) -> dict[str, AccessToken]:
    return {token.id: token for token in AccessToken.objects.filter(id__in=ids).select_related(*FACTS)}


def _agents(client_ids: Collection[str]) -> dict[str, Agent]:
    if not client_ids:
        return {}
    return {agent.client_id: agent for agent in Agent.objects.filter(client_id__in=client_ids)}


def _organizations(tokens: Collection[AccessToken], services: Sequence[Service | None]) -> set[str]:
    """Return the organizations whose policies may apply. If a token is for another service, some of them will not."""
    agents = {token.application.organization_id for token in tokens}
    return {one for one in agents | {service.organization_id for service in services if service} if one}


def _facts(token: AccessToken, service: Service | None, policies: PolicySet) -> Facts:
    own = token.application.organization_id
    affected = _affected(service, token.resource, own)
    return Facts(
        token,
        service,
        policies.for_agent(own, token.application_id),
        policies.for_agent(affected, token.application_id) if affected != own else (),
    )


def _deleted(claims: Claims, agent: Agent | None, service: Service | None) -> DeletedToken:
    return DeletedToken(agent, _affected(service, claims.audience, agent.organization_id if agent else None))


def _affected(service: Service | None, audience: Collection[str], organization_id: str | None) -> str | None:
    """Return the organization of the service that the request affects, or None.

    A service that an anonymous caller names counts only if the token is for it. Otherwise the holder of any token could
    write to any organization's log.
    """
    if service is None or not (service.is_caller or service.accepts(audience, organization_id)):
        return None
    return service.organization_id
