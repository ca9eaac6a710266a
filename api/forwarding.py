"""The inquiry of forward authorization, for Django's view and for the event loop.

The reply is a 200 only if the request is allowed. An unexpected error has another status, so the proxy denies too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext_noop

from api.problems import render_problem
from api.v1.schemas.base import known_fields
from api.v1.schemas.tokens import MAX_SCOPES, ForwardAuthQuery, approval_url
from approvals.statuses import ApprovalStatus
from core.actor import Actor
from core.errors import DomainError, Forbidden, Invalid, NotAuthenticated
from core.messages import Reply
from decisions.callers import read_credential
from decisions.inquiries import Inquiry
from decisions.requests import Credential, Decision, Reason, VerifyRequest
from resources.catalogue import SCOPE_ID
from resources.errors import ServiceSuspended

# The b64token of RFC 6750 section 2.1.
BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9\-._~+/]+=*) *")
SCOPES_HEADER = "X-Required-Scopes"
CREDENTIAL_HEADER = "X-Resource-Server"
UNCACHED = ("Cache-Control", "no-store")

Challenge = Mapping[str, str]


class InvalidToken(NotAuthenticated):
    """RFC 6750 section 3.1: the token is expired, revoked, malformed or otherwise not valid."""

    code = "invalid_token"
    title = gettext_noop("The token is not valid")
    remedy = "Refresh the access token, or ask the user for consent again."


class InsufficientScope(Forbidden):
    """RFC 6750 section 3.1."""

    code = "insufficient_scope"
    title = gettext_noop("The token lacks a required scope")
    remedy = "Ask the user for consent to the scopes in the challenge."


class ActionNotCovered(Forbidden):
    """Another token would not help. The code is still the reason of the decision."""

    code = "insufficient_scope"
    title = gettext_noop("No scope covers the action")
    remedy = "Do not send it again: no consent of the user allows it."


class PolicyDenied(Forbidden):
    """Another token would not help, so the response has no challenge."""

    code = "policy_denied"
    title = gettext_noop("A policy denies this request")
    remedy = "Wait for Retry-After if it is sent. Otherwise change the request, or the policy that denies it."


class ApprovalRequired(Forbidden):
    """The response has the page where the user decides in `X-AgentGate-Approval`, if the user can be asked."""

    code = "approval_required"
    title = gettext_noop("The user must approve this request")
    remedy = "Send the user to the page in X-AgentGate-Approval, or wait for the approval, and send the request again."


class ApprovalDenied(ApprovalRequired):
    """The user has said no to the approval. The code is still the reason of the decision."""

    code = "approval_required"
    title = gettext_noop("The user denied this request")
    remedy = "Do not send it again."


class AskedTooOften(ApprovalRequired):
    """The user was not asked, because the agent has asked too often. The code is the reason of the decision."""

    code = "approval_required"
    title = gettext_noop("The agent has asked the user too often")
    remedy = "Send the request again after the number of seconds in Retry-After."


class ConsentPaused(Forbidden):
    """Another token would not help."""

    code = "consent_paused"
    title = gettext_noop("The user has paused this agent")
    remedy = "Wait until the user resumes the agent."


# The error for a denial reason. All other reasons mean that the token is not valid.
REFUSALS: dict[Reason, type[DomainError]] = {
    Reason.INSUFFICIENT_SCOPE: InsufficientScope,
    Reason.POLICY_DENIED: PolicyDenied,
    Reason.APPROVAL_REQUIRED: ApprovalRequired,
    Reason.CONSENT_PAUSED: ConsentPaused,
    Reason.SERVICE_SUSPENDED: ServiceSuspended,
}


def forwarding_inquiry(headers: Mapping[str, str], query: ForwardAuthQuery, actor: Actor) -> Inquiry | Reply:
    """Return the inquiry of a forwarded request, or the refusal of one without a bearer token.

    Raises `Invalid` for impossible scopes, and `Forbidden` for an unreadable or missing credential.
    """
    scopes = _required_scopes(headers, query)
    credential = read_proxy_credential(headers)
    challenge = {"scope": " ".join(scopes), "resource_metadata": query.resource_metadata or ""}
    bearer = BEARER.fullmatch(headers.get("authorization", ""))
    if bearer is None:
        return _refuse(NotAuthenticated("Send a bearer token."), challenge, actor.request_id)
    request = VerifyRequest(
        token=bearer[1],
        required_scopes=scopes,
        actor=actor,
        credential=credential,
        action=query.action,
        resource=query.resource,
        context={"ip": actor.ip} if actor.ip else {},
        is_forwarded=True,
    )
    return Inquiry([request], partial(_show, challenge, actor.request_id))


def own_parameters(parameters: QueryDict) -> QueryDict:
    """Return the proxy's parameters, leaving out unknown ones, which are the caller's.

    An empty parameter counts as omitted, because proxies substitute variables that can be empty.
    """
    own = QueryDict(mutable=True)
    for name, values in parameters.lists():
        if name in known_fields(ForwardAuthQuery) and values != [""]:
            own.setlist(name, values)
    return own


def read_proxy_credential(headers: Mapping[str, str]) -> Credential | None:
    """Return the resource server's credential of the proxy, or None if the proxy sends none.

    Raises `Forbidden` for an unreadable or missing one.
    """
    if settings.VERIFY_REQUIRES_CREDENTIAL and CREDENTIAL_HEADER.lower() not in headers:
        raise Forbidden(f"Authenticate as a resource server: send {CREDENTIAL_HEADER}.")
    try:
        return read_credential(headers, CREDENTIAL_HEADER.lower())
    except NotAuthenticated as error:
        raise for_caller(error) from error


def for_caller(error: DomainError) -> DomainError:
    """Return what the proxy's caller may see. A 401 for the proxy's credential would make it get another token."""
    return Forbidden(error.detail) if isinstance(error, NotAuthenticated) else error


def _required_scopes(headers: Mapping[str, str], query: ForwardAuthQuery) -> list[str]:
    """Return the scopes required by the header or the query. Raises `Invalid` for none, so that no scopes deny."""
    given = f"{headers.get(SCOPES_HEADER.lower(), '')} {query.scopes or ''}"
    scopes = list(dict.fromkeys(given.replace(",", " ").split()))
    if not 1 <= len(scopes) <= MAX_SCOPES:
        raise Invalid.field("scopes", f"Send 1 to {MAX_SCOPES} scopes, in the query or in {SCOPES_HEADER}.")
    if not all(map(SCOPE_ID.fullmatch, scopes)):
        raise Invalid.field("scopes", "Must all be scope ids, such as email:read.")
    return scopes


def _show(challenge: Challenge, request_id: str, decisions: Sequence[Decision]) -> Reply:
    (decision,) = decisions
    if decision.allowed:
        return Reply(200, [UNCACHED, *identity_headers(decision)])
    error = _error_of(decision)
    can_another_token_help = isinstance(error, (InvalidToken, InsufficientScope))
    needed = " ".join(dict.fromkeys((*challenge["scope"].split(), *decision.missing_scopes)))
    wanted = {"error": error.code, **challenge, "scope": needed}
    reply = _refuse(error, wanted if can_another_token_help else {}, request_id)
    return Reply(reply.status, [*reply.headers, *_denial_headers(decision)], reply.body)


def _error_of(decision: Decision) -> DomainError:
    if decision.approval_status == ApprovalStatus.DENIED:
        return ApprovalDenied()
    if decision.reason is Reason.APPROVAL_REQUIRED and decision.approval_id is None:
        return AskedTooOften()
    if decision.reason is Reason.INSUFFICIENT_SCOPE and not decision.missing_scopes:
        return ActionNotCovered()
    return REFUSALS.get(decision.reason or Reason.INVALID_TOKEN, InvalidToken)()


def _denial_headers(decision: Decision) -> Iterator[tuple[str, str]]:
    yield "X-AgentGate-Reason", decision.reason or ""
    if decision.audit_id:
        yield "X-AgentGate-Decision", decision.audit_id
    if decision.approval_id:
        yield "X-AgentGate-Approval", approval_url(decision.approval_id)
    if decision.approval_status:
        yield "X-AgentGate-Approval-Status", decision.approval_status.value
    if decision.retry_after_seconds:
        yield "Retry-After", str(decision.retry_after_seconds)


def _refuse(error: DomainError, challenge: Challenge, request_id: str) -> Reply:
    """Return the error with a challenge that says what the client needs (RFC 6750 section 3, RFC 9728).

    Pass an empty `challenge` if another token would not help.
    """
    parameters = ", ".join(f'{name}="{_quotable(value)}"' for name, value in challenge.items() if value)
    headers = [("WWW-Authenticate", f"Bearer {parameters}")] if challenge else []
    problem = render_problem(error, request_id)
    return Reply(problem.status, [*problem.headers, *headers], problem.body)


def identity_headers(decision: Decision) -> Iterator[tuple[str, str]]:
    """Yield headers that say which agent acts for which user, for the proxy to pass on."""
    headers = {
        "User": decision.user_id,
        "Agent": decision.agent_id,
        "Consent": decision.consent_id,
        "Decision": decision.audit_id,
        "Scopes": " ".join(decision.granted_scopes),
    }
    for name, value in headers.items():
        yield f"X-AgentGate-{name}", value or ""


def _quotable(text: str) -> str:
    """Return `text` with only the characters that a quoted string can contain unescaped (RFC 9110 section 5.6.4)."""
    return "".join(letter for letter in text if " " <= letter <= "~" and letter not in '"\\')
