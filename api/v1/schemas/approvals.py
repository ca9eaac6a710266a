"""Request and response models for approvals."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from agents.models import Agent
from api.v1.schemas.base import Moment, Omittable, OneOf, Out, Query, RequestBody, WholeNumber
from api.v1.schemas.pages import PageQuery
from api.v1.schemas.scopes import RiskLevel
from approvals.audiences import Services, services_by_approval
from approvals.models import Approval
from approvals.selectors import needs_recent_sign_in, scopes_of
from core import clock
from resources.selectors import NamedService

MAX_WAIT_SECONDS = 30

ApprovalStatus = Annotated[str, OneOf(*Approval.Status.values)]


class WaitQuery(Query):
    """How many seconds the response may wait for a decision."""

    # Query parameters are strings.
    wait: int = Field(0, ge=0, le=MAX_WAIT_SECONDS, strict=False)


class ApprovalsQuery(PageQuery):
    """The page, and the status of the approvals to list."""

    status: Omittable[ApprovalStatus] = None


class ApproveApprovalBody(RequestBody):
    """What to approve: this request `once`, or for `expiresInSeconds` all requests with the same `target`."""

    for_: Literal["once", "target"] = Field("once", alias="for")
    expires_in_seconds: Omittable[WholeNumber] = Field(None, ge=1)


class DenyApprovalBody(RequestBody):
    """`pauseAgent` also pauses the agent: all its requests are denied until the user resumes it."""

    pause_agent: bool = False


class ApprovalAgentOut(Out):
    """The agent that asks."""

    id: str
    name: str


class ApprovalLinkOut(Out):
    """An agent of a chain. `delegationId` is what was handed to it, and null for the first agent."""

    agent_id: str
    delegation_id: str | None
    name: str


class ApprovalScopeOut(Out):
    """A permission that the request needs, with the title that the user agreed to."""

    id: str
    title: str
    risk_level: RiskLevel


class ApprovalOrganizationOut(Out):
    """The organization that registered a resource server."""

    id: str
    name: str


class ApprovalServiceOut(Out):
    """A resource server. Only its `identifier` is known if it is not registered, and only its `id` if it was deleted.

    The identifier `API_URL` of AgentGate itself stands for all resource servers of the agent's organization.
    """

    id: str | None
    identifier: str | None
    host: str | None
    name: str | None
    organization: ApprovalOrganizationOut | None


class ApprovalOut(Out):
    """A request that waits for its user, or that the user has decided.

    `expiresAt` is until when it can be decided or, once approved, used. `code` is shown to the user, too, so that they
    can tell requests apart. Resource servers do not see it, and only the user sees the members after it. `held` means
    that the agent asks so often that the request is shown in a batch. A `critical` one can only be approved once, and
    needs a sign-in within the last five minutes. With `isStanding`, it covers all requests that differ only in their
    texts and in a lower amount. `chain` are the agents from that of the connection to `agent`, which asks and would
    act, if the work was handed on.
    `service` is the resource server that asked or, unless `serviceAuthenticated`, the one that the caller named as
    `resource`; null if it named none. `audience` are those that the access token is for. The approval covers only
    requests of the same service and audience. `askedScopes` and `ruleType` say why the user is asked: the scopes
    that they want to be asked of, and the type of the rule that asks, or null.
    """

    id: str
    status: ApprovalStatus
    expires_at: Moment
    code: Omittable[str] = None
    consent_id: Omittable[str] = None
    agent: Omittable[ApprovalAgentOut] = None
    chain: Omittable[list[ApprovalLinkOut]] = None
    scopes: Omittable[list[ApprovalScopeOut]] = None
    action: Omittable[str] = None
    resource: Omittable[str] = None
    service: ApprovalServiceOut | None = None
    service_authenticated: Omittable[bool] = None
    audience: Omittable[list[ApprovalServiceOut]] = None
    context: Omittable[dict[str, Any]] = None
    created_at: Omittable[Moment] = None
    decided_at: Moment | None = None
    is_standing: Omittable[bool] = None
    critical: Omittable[bool] = None
    held: Omittable[bool] = None
    asked_scopes: Omittable[list[str]] = None
    rule_type: str | None = None


def show_status(approval: Approval, *, with_code: bool) -> ApprovalOut:
    """Return what the agent, with the code, or the resource server may see."""
    only_agent: dict[str, Any] = {"code": approval.code} if with_code else {}
    return ApprovalOut(**_status_of(approval), **only_agent)


def show_approval(approval: Approval) -> ApprovalOut:
    """Return the approval as its user sees it."""
    (shown,) = show_approvals([approval])
    return shown


def show_approvals(approvals: Sequence[Approval]) -> list[ApprovalOut]:
    """Return approvals as their user sees them."""
    services, names = services_by_approval(approvals), _names_of(approvals)
    return [
        ApprovalOut(
            **_status_of(approval),
            code=approval.code,
            consent_id=approval.consent_id,
            agent=ApprovalAgentOut.model_validate(approval.agent),
            **_chain_of(approval, names),
            scopes=[ApprovalScopeOut.model_validate(scope) for scope in scopes_of(approval)],
            action=approval.action,
            resource=approval.resource,
            service=_service_of(services[approval.pk]),
            service_authenticated=services[approval.pk].is_authenticated,
            audience=_audience_of(services[approval.pk]),
            context=approval.context,
            created_at=approval.created_at,
            decided_at=approval.decided_at,
            is_standing=approval.is_standing,
            critical=needs_recent_sign_in(approval),
            held=approval.is_held,
            asked_scopes=approval.asked_scopes,
            rule_type=approval.asked_by_rule or None,
        )
        for approval in approvals
    ]


def _names_of(approvals: Sequence[Approval]) -> dict[str, str]:
    """Return the names of the agents of all chains, by id."""
    ids = {one for approval in approvals for one in approval.chain_agents}
    return dict(Agent.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}


def _chain_of(approval: Approval, names: Mapping[str, str]) -> dict[str, Any]:
    links = [
        ApprovalLinkOut(agent_id=agent, delegation_id=delegation, name=names.get(agent, agent))
        for agent, delegation in approval.chain or ()
    ]
    return {"chain": links} if links else {}


def _service_of(services: Services) -> ApprovalServiceOut | None:
    if services.service is not None:
        return _show_service(services.service)
    return _unknown_service(server_id=services.service_id) if services.service_id else None


def _audience_of(services: Services) -> list[ApprovalServiceOut]:
    return [
        _show_service(one.service) if one.service else _unknown_service(identifier=one.identifier)
        for one in services.audience
    ]


def _show_service(service: NamedService) -> ApprovalServiceOut:
    organization = ApprovalOrganizationOut(id=service.organization_id, name=service.organization)
    return ApprovalServiceOut(
        id=service.id,
        identifier=service.identifier,
        host=service.host,
        name=service.name,
        organization=organization,
    )


def _unknown_service(*, server_id: str | None = None, identifier: str | None = None) -> ApprovalServiceOut:
    return ApprovalServiceOut(id=server_id, identifier=identifier, host=None, name=None, organization=None)


def _status_of(approval: Approval) -> dict[str, Any]:
    return {"id": approval.id, "status": approval.status_at(clock.now()), "expires_at": approval.expires_at}
