"""The live facts of a batch, each kind in one query: tokens and all they hang on, services, policies."""

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
    """A stored token with all it hangs on, read in the decision's own transaction.

    `service` is the resource server that asks or that is named. The call is bound by `agent_policies`, of the agent's
    organization, and by `service_policies`, of the service's organization where that is another one.
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
        """Return the agent's organization. None for a stock client."""
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
        """Return what the token holds that the consent and the agent still allow."""
        held = self.agent.allowed_among(self.token.scope.split())
        return tuple(self.token.family.granted_among(held))

    def is_expired(self, now: datetime) -> bool:
        return bool(self.token.expires <= now)

    def owner_of(self, denial: PolicyDenial | None) -> str | None:
        """Return the organization whose policy denied. None when none did."""
        if denial is None:
            return None
        is_service = any(policy.id == denial.policy_id for policy in self.service_policies)
        return self.service_organization_id if is_service else self.organization_id


@dataclass(frozen=True, slots=True)
class Gone:
    """A token of ours whose row is no more: swept after it expired, or ended with its person or agent."""

    agent: Agent | None
    service_organization_id: str | None

    @property
    def organization_id(self) -> str | None:
        return self.agent.organization_id if self.agent else None


Asked = tuple[VerifyRequest, Claims]


def load_facts(asked: Sequence[Asked]) -> list[Facts | Gone]:
    """Return what is known for each question, in their order.

    Danger: read inside the decision's transaction, under the decision lock, after the request has arrived. Anything
    older may miss a revocation that has been answered.
    """
    tokens = _tokens({claims.token_id for _, claims in asked})
    services = find_services([request for request, _ in asked])
    agents = _agents({claims.client_id for _, claims in asked if claims.token_id not in tokens})
    policies = enabled_policies(_organizations(tokens.values(), services))
    return [
        _facts(tokens[claims.token_id], service, policies)
        if claims.token_id in tokens
        else _gone(claims, agents.get(claims.client_id), service)
        for (_, claims), service in zip(asked, services, strict=True)
    ]


def _tokens(ids: Collection[str]) -> dict[str, AccessToken]:
    return {token.id: token for token in AccessToken.objects.filter(id__in=ids).select_related(*FACTS)}


def _agents(client_ids: Collection[str]) -> dict[str, Agent]:
    if not client_ids:
        return {}
    return {agent.client_id: agent for agent in Agent.objects.filter(client_id__in=client_ids)}


def _organizations(tokens: Collection[AccessToken], services: Sequence[Service | None]) -> set[str]:
    """Return the organizations that may have a say: more than will have it where a token is for another service."""
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


def _gone(claims: Claims, agent: Agent | None, service: Service | None) -> Gone:
    return Gone(agent, _affected(service, claims.audience, agent.organization_id if agent else None))


def _affected(service: Service | None, audience: Collection[str], organization_id: str | None) -> str | None:
    """Return the organization of the service whose call this is. None when there is no such service.

    A service that is merely named counts only if the token is meant for it: otherwise the holder of any token could
    write into any organization's log.
    """
    if service is None or not (service.has_asked or service.is_meant(audience, organization_id)):
        return None
    return service.organization_id
