"""Request and response models for approvals."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from api.v1.schemas.base import Moment, Omittable, OneOf, Out, Query, RequestBody, WholeNumber
from api.v1.schemas.pages import PageQuery
from api.v1.schemas.scopes import RiskLevel
from consent.approval_selectors import needs_recent_sign_in, scopes_of
from consent.models import Approval
from core import clock

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


class ApprovalScopeOut(Out):
    """A permission that the request needs, with the title that the user agreed to."""

    id: str
    title: str
    risk_level: RiskLevel


class ApprovalOut(Out):
    """A request that waits for its user, or that the user has decided.

    `expiresAt` is until when it can be decided or, once approved, used. `code` is shown to the user, too, so that they
    can tell requests apart. Resource servers do not see it, and only the user sees the members after it. `held` means
    that the agent asks so often that the request is shown in a batch. A `critical` one can only be approved once, and
    needs a sign-in within the last five minutes. With `isStanding`, it covers all requests that differ only in their
    texts and in a lower amount.
    `askedScopes` and `ruleType` say why the user is asked: the scopes that they want to be asked of, and the type of
    the rule that asks, or null.
    """

    id: str
    status: ApprovalStatus
    expires_at: Moment
    code: Omittable[str] = None
    consent_id: Omittable[str] = None
    agent: Omittable[ApprovalAgentOut] = None
    scopes: Omittable[list[ApprovalScopeOut]] = None
    action: Omittable[str] = None
    resource: Omittable[str] = None
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
    return [
        ApprovalOut(
            **_status_of(approval),
            code=approval.code,
            consent_id=approval.consent_id,
            agent=ApprovalAgentOut.model_validate(approval.agent),
            scopes=[ApprovalScopeOut.model_validate(scope) for scope in scopes_of(approval)],
            action=approval.action,
            resource=approval.resource,
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


def _status_of(approval: Approval) -> dict[str, Any]:
    return {"id": approval.id, "status": approval.status_at(clock.now()), "expires_at": approval.expires_at}
