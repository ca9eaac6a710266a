"""The live facts of a batch: one query for the tokens and all they hang on, one for the policies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

from consent.models import Consent
from decisions.requests import VerifyRequest
from developers.models import ResourceServer
from policies.engine import CompiledPolicy
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

    `organization_id` is the tenant whose policies and log apply: the agent's, or, for a client that belongs to none,
    that of the resource server the token is for.
    """

    token: AccessToken
    organization_id: str | None
    policies: Sequence[CompiledPolicy]

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
        held = self.token.application.allowed_among(self.token.scope.split())
        return tuple(self.token.family.granted_among(held))

    def is_expired(self, now: datetime) -> bool:
        return bool(self.token.expires <= now)


def load_facts(claims: Iterable[Claims]) -> dict[str, Facts]:
    """Return the facts of each token by its id; tokens that are gone are left out.

    Danger: read inside the decision's transaction, under the decision lock, after the request has arrived. Anything
    older may miss a revocation that has been answered.
    """
    ids = {claim.token_id for claim in claims}
    tokens = list(AccessToken.objects.filter(id__in=ids).select_related(*FACTS))
    owners = {token.id: token.application.organization_id for token in tokens}
    owners |= _owners_by_resource([token for token in tokens if owners[token.id] is None])
    policies = enabled_policies(owner for owner in owners.values() if owner)
    return {token.id: _facts(token, owners[token.id], policies) for token in tokens}


def with_services(requests: Sequence[VerifyRequest]) -> list[VerifyRequest]:
    """Return the requests with the organization of the service that asks or that is named, as it is now.

    Danger: call it inside the decision's transaction. A credential was checked before it, and its organization may
    have been suspended since.
    """
    ids = {request.resource_server.id for request in requests if request.resource_server}
    named = {request.resource for request in requests if request.resource and not request.resource_server}
    if not ids and not named:
        return list(requests)
    rows = ResourceServer.objects.filter(Q(id__in=ids) | Q(identifier__in=named)).select_related("organization")
    found = {key: row.organization for row in rows for key in (row.id, row.identifier)}
    return [replace(request, service=found.get(_service_key(request))) for request in requests]


def _service_key(request: VerifyRequest) -> str:
    return request.resource_server.id if request.resource_server else request.resource or ""


def _facts(token: AccessToken, organization_id: str | None, policies: PolicySet) -> Facts:
    return Facts(token, organization_id, policies.for_agent(organization_id, token.application_id))


def _owners_by_resource(tokens: Sequence[AccessToken]) -> dict[str, str | None]:
    """Return the organization of the resource server that each token is for. None where there is none."""
    if not tokens:
        return {}
    identifiers = {identifier for token in tokens for identifier in token.resource}
    servers = ResourceServer.objects.filter(identifier__in=identifiers)
    owners = dict(servers.values_list("identifier", "organization_id"))
    return {token.id: next((owners[one] for one in token.resource if one in owners), None) for token in tokens}
