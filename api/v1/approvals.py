"""Approvals: read, wait for, approve, deny and revoke them."""

from rest_framework.response import Response

from accounts.errors import ReauthenticationRequired
from agents.errors import AgentSuspended, EverythingStopped, InvalidClient
from api.clients import ProgramOrUserEndpoint
from api.endpoint import UserEndpoint
from api.operations import operation
from api.v1.schemas.approvals import (
    ApprovalOut,
    ApprovalsQuery,
    ApproveApprovalBody,
    DenyApprovalBody,
    WaitQuery,
    show_approval,
    show_approvals,
    show_status,
)
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.pages import Page, paginate
from approvals.errors import ApprovalAlreadyDecided, ApprovalExpired, ApprovalNotStanding, ConnectionInactive
from approvals.models import Approval
from approvals.selectors import (
    approval_for_agent,
    approval_for_server,
    approval_for_user,
    approvals_for_user,
    with_status,
)
from approvals.services import approve_approval, deny_approval, revoke_approval
from core import clock
from core.errors import Throttled
from core.messages import APPROVAL, MAY_PARK, PARK, Mark
from developers.errors import OrganizationStopped, OrganizationSuspended
from resources.errors import ServiceSuspended


class OneApproval(ProgramOrUserEndpoint):
    @operation(
        "getApproval",
        "Get an approval, or wait for its decision",
        description="For the agent that asked, the user, and the resource servers of the organization whose service "
        "asked. If a caller without a credential asked, for those of the agent's organization and of the service that "
        "it named. With `wait`, the response comes once the approval is decided or "
        "after that many seconds, whichever is first. It may come earlier, so read `status`. Only agents with a client "
        "secret can ask.",
        answer=ApprovalOut,
        errors=(
            InvalidClient,
            AgentSuspended,
            OrganizationSuspended,
            OrganizationStopped,
            ServiceSuspended,
            Throttled,
        ),
    )
    def get(self, approval_id: str, query: WaitQuery) -> Response:
        approval = self._approval(approval_id)
        answer = self.operation.serialize(self._show(approval))
        response = Response(answer.body, status=answer.status)
        is_pending = approval.status_at(clock.now()) == Approval.Status.PENDING
        if query.wait and is_pending and self.request.META.get(MAY_PARK):
            response[PARK] = Mark(APPROVAL, approval.id, query.wait).encode()
        return response

    def _approval(self, approval_id: str) -> Approval:
        if self.agent is not None:
            return approval_for_agent(self.agent, approval_id)
        if self.server is not None:
            return approval_for_server(self.server, approval_id)
        return approval_for_user(self.user, approval_id)

    def _show(self, approval: Approval) -> ApprovalOut:
        if self.agent is None and self.server is None:
            return show_approval(approval)
        return show_status(approval, with_code=self.agent is not None)


class Approvals(UserEndpoint):
    @operation(
        "listApprovals",
        "List the user's approvals, newest first",
        description="What agents asked the user to approve in the last 30 days. `status` selects those with one "
        "status, such as `pending`.",
        answer=Page[ApprovalOut],
    )
    def get(self, query: ApprovalsQuery) -> Page[ApprovalOut]:
        rows = approvals_for_user(self.user)
        if query.status:
            rows = with_status(rows, query.status, clock.now())
        return paginate(Page[ApprovalOut], rows, query, show_approvals)


class Approve(UserEndpoint):
    @operation(
        "approveApproval",
        "Approve a request of an agent",
        description="`once` allows this request one time within an hour: the same agent, service, audience, scopes, "
        "action, resource and context. The same service is the resource server that asked with its credential, or the "
        "one that a caller without a credential named: these are two things. `target` allows, for "
        "`expiresInSeconds`, all requests that are the same but for other texts in `text`, `diff`, `task` and `ip` of "
        "the context, and for a lower `amount` in the same currency. Neither outlives the connection. A critical "
        "request, and one that names no recipient, target or resource, can only be approved once.",
        answer=ApprovalOut,
        errors=(
            ApprovalAlreadyDecided,
            ApprovalExpired,
            ConnectionInactive,
            AgentSuspended,
            OrganizationSuspended,
            OrganizationStopped,
            EverythingStopped,
            ReauthenticationRequired,
        ),
        request_example={"for": "once"},
    )
    def post(self, approval_id: str, body: ApproveApprovalBody) -> ApprovalOut:
        approved = approve_approval(
            actor=self.actor,
            approval=approval_for_user(self.user, approval_id),
            user=self.user,
            signed_in_at=self.signed_in_at,
            for_target=body.for_ == "target",
            expires_in_seconds=body.expires_in_seconds,
        )
        return show_approval(approved)


class Deny(UserEndpoint):
    @operation(
        "denyApproval",
        "Deny a request of an agent",
        description="The same request is denied without asking again until `expiresAt`. With `pauseAgent`, no request "
        "of the agent for this user that starts after the response is allowed until the user resumes it.",
        answer=ApprovalOut,
        errors=(ApprovalAlreadyDecided, ApprovalExpired),
    )
    def post(self, approval_id: str, body: DenyApprovalBody) -> ApprovalOut:
        approval = approval_for_user(self.user, approval_id)
        denied = deny_approval(actor=self.actor, approval=approval, user=self.user, pause_agent=body.pause_agent)
        return show_approval(denied)


class Revoke(UserEndpoint):
    @operation(
        "revokeApproval",
        "Revoke an approval for a time",
        description="No verify request that starts after the response uses it. Its status becomes `expired`. Revoking "
        "twice changes nothing.",
        answer=ApprovalOut,
        errors=(ApprovalNotStanding,),
    )
    def post(self, approval_id: str, body: EmptyBody) -> ApprovalOut:
        approval = approval_for_user(self.user, approval_id)
        return show_approval(revoke_approval(actor=self.actor, approval=approval, user=self.user))
