"""Request and response models for tokens and decisions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, TypedDict

import orjson
from django.conf import settings
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator, with_config

from api.v1.schemas.base import BlankText, Line, Moment, Omittable, Opaque, Out, Query, RequestBody, Text, WholeNumber
from core.canonical import canonical_json, has_nul
from core.chains import Link
from core.clock import rfc3339
from core.money import read_amount
from core.net import canonical_address
from core.validation import MESSAGES, invalid_fields, invalid_value
from decisions.requests import Decision, Reason, RuleTrace
from limits.reservations import DEFAULT_SECONDS, MAX_SECONDS
from resources.catalogue import MAX_SCOPE_ID, SCOPE_ID
from tokens.issuing import IssuedTokens

MAX_SCOPES, MAX_BATCH, MAX_CONTEXT_BYTES = 100, 100, 16 * 1024
MAX_QUERY = 2000
MAX_ACTION, MAX_RESOURCE = 200, 2000
# Of tokens. With this many scopes of the greatest length, all have 60 MB together, and usually 10.
MAX_BEGINNINGS, MAX_REMEMBERED_SCOPES = 10_000, 20


class ClientBody(RequestBody):
    """Client credentials in the body. Omit them with HTTP Basic."""

    client_id: Omittable[Text] = Field(None, max_length=2000)
    client_secret: Omittable[Text] = Field(None, max_length=500)


class ExchangeBody(ClientBody):
    """An authorization code with the proof that this client asked for it, or a delegation token for this client."""

    code: Omittable[Opaque] = None
    code_verifier: BlankText = Field("", max_length=128)
    redirect_uri: Omittable[Text] = Field(None, max_length=2000)
    delegation_token: Omittable[Opaque] = Field(
        None, description="What another agent got from createDelegation for this one."
    )

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if self.delegation_token is None and self.code is None:
            raise invalid_fields(type(self), [("code", MESSAGES["missing"])])
        if self.delegation_token is not None and self.model_fields_set & {"code", "code_verifier", "redirect_uri"}:
            message = "Send a code with its codeVerifier and redirectUri, or only a delegationToken."
            raise invalid_fields(type(self), [("delegationToken", message)])
        return self


class RefreshBody(ClientBody):
    """The refresh token to replace."""

    refresh_token: Opaque


class RevokeBody(ClientBody):
    """An access token or a refresh token."""

    token: Opaque


def check_context(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    canonical = canonical_json(data)
    if len(canonical) > MAX_CONTEXT_BYTES:
        raise invalid_value(f"Must be at most {MAX_CONTEXT_BYTES} bytes.")
    if has_nul(canonical):
        raise invalid_value("Must not contain NUL characters.")
    return data


def _read_address(value: Any) -> str:
    address = canonical_address(value) if isinstance(value, str) else None
    if address is None:
        raise invalid_value("Must be an IPv4 or IPv6 address, without a zone or spaces.")
    return address


def _check_scope(value: Any) -> Any:
    if isinstance(value, str) and not SCOPE_ID.fullmatch(value):
        raise invalid_value("Must be a scope id, such as email:read.")
    return value


Address = Annotated[
    str,
    BeforeValidator(_read_address),
    WithJsonSchema({"oneOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}),
]


@with_config(ConfigDict(extra="allow"))
class Context(TypedDict, total=False):
    """What the request is about. It can have any fields: verb, recipient, target, amount, text, diff, ip.

    `amount` counts in the log as `{"value": "12.50", "currency": "EUR"}`: a decimal as text, or a whole number, and a
    code of ISO 4217. With another member, such as a multiplier, it cannot be read, so limits on amounts deny it.

    `arguments` and `definition` are SHA-256 digests in lowercase hexadecimal, of all that a call sends and of its
    tool's definition. The user reads that an approval covers exactly these.

    `labels` adds to the labels of the scopes for a guard against data flows: a list of `private`, `untrusted` and
    `outbound`. The guard denies anything else.
    """

    ip: Address


# A scope id. The scope need not exist: verify then finds that it is not granted.
ScopeId = Annotated[
    str,
    BeforeValidator(_check_scope),
    Field(min_length=1, max_length=MAX_SCOPE_ID, json_schema_extra={"pattern": f"^{SCOPE_ID.pattern}$"}),
]


class VerifyRequestBody(RequestBody):
    """A request to decide: may the bearer of `token` do this now?"""

    token: Opaque
    required_scopes: list[ScopeId] = Field(min_length=1, max_length=MAX_SCOPES)
    action: Omittable[Line] = Field(None, max_length=MAX_ACTION)
    resource: Omittable[Line] = Field(None, max_length=MAX_RESOURCE)
    context: Annotated[Context, BeforeValidator(check_context)] = Field(default_factory=Context)
    receipt: bool = False
    explain: bool = False
    reserve: bool = False
    expires_in_seconds: Omittable[WholeNumber] = Field(None, ge=1, le=MAX_SECONDS)

    @model_validator(mode="after")
    def _check_reservation(self) -> Self:
        if self.reserve and read_amount(self.context.get("amount")) is None:
            message = 'Must be the amount to reserve, such as {"value": "12.50", "currency": "EUR"}.'
            raise invalid_fields(type(self), [("context.amount", message)])
        if self.expires_in_seconds is not None and not self.reserve:
            raise invalid_fields(type(self), [("expiresInSeconds", "Only with reserve.")])
        return self

    @property
    def reserve_seconds(self) -> int | None:
        """For how long the amount is reserved, or None if it is not."""
        return (self.expires_in_seconds or DEFAULT_SECONDS) if self.reserve else None


class VerifyBatchBody(RequestBody):
    """Up to 100 requests to decide."""

    requests: list[VerifyRequestBody] = Field(min_length=1, max_length=MAX_BATCH)


class GrantedDetailOut(Out):
    """What the user granted of the authorization details (RFC 9396).

    A call that needs one of the `actions` must name one of the `identifiers` in `context.target`.
    """

    type: str
    identifiers: list[str]
    actions: list[str]


class LinkOut(Out):
    """An agent of a chain, and the delegation by which it acts: null for the first agent."""

    agent_id: str
    delegation_id: str | None


class TokensOut(Out):
    """A new pair of tokens, shown only once. It has `authorizationDetails` if the user bounded any of the scopes.

    If another agent handed the work over, `chain` has the agents from the first one to this one, which is the `actor`,
    and `expiresIn` and `refreshExpiresIn` end with the delegation. If that ends within 15 minutes, there is no refresh
    token.
    """

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    refresh_token: Omittable[str] = None
    refresh_expires_in: Omittable[int] = None
    granted_scopes: list[str]
    user_id: str | None
    agent_id: str
    consent_id: str | None
    authorization_details: Omittable[list[GrantedDetailOut]] = None
    delegation_id: Omittable[str] = None
    actor: Omittable[LinkOut] = None
    chain: Omittable[list[LinkOut]] = None


class RevokedTokenOut(Out):
    """The token no longer works, if it ever did."""

    revoked: Literal[True]


class DenyingPolicyOut(Out):
    """The policy whose rule denied the request or requires an approval.

    The user's own limits have the consent's id, and those of a delegation the id of the delegation.
    """

    id: str
    name: str
    rule_type: str


class TracedPolicyOut(Out):
    """A policy of the caller's organization, and the index of the rule."""

    id: str
    name: str
    rule_index: int


class RuleTraceOut(Out):
    """What one rule said of the request. For rules of others than the caller's organization, `policy` is null.

    The type `mode` stands for a scope that the user must approve each time.
    """

    rule_type: str
    outcome: Literal["passed", "denied", "asked", "not_concerned"]
    policy: TracedPolicyOut | None = None
    detail: str | None = None


class DecisionOut(Out):
    """A decision. For a token that AgentGate did not sign, it has only the reason `invalid_token`.

    If the work was handed on, `chain` has the agents from the first one, to which the user granted, to the `actor`.
    """

    allowed: bool
    reason: Omittable[Reason] = None
    user_id: str | None = None
    agent_id: str | None = None
    consent_id: str | None = None
    actor: Omittable[LinkOut] = None
    chain: Omittable[list[LinkOut]] = None
    granted_scopes: Omittable[list[str]] = None
    expires_at: Omittable[Moment] = None
    audit_id: Omittable[str] = None
    missing_scopes: Omittable[list[str]] = None
    policy: Omittable[DenyingPolicyOut] = None
    retry_after_seconds: Omittable[int] = None
    approval_id: Omittable[str] = None
    approval_url: Omittable[str] = None
    approval_status: Omittable[Literal["pending", "denied"]] = None
    reservation_id: Omittable[str] = None
    reservation_expires_at: Omittable[Moment] = None
    trace: Omittable[list[RuleTraceOut]] = None
    receipt: Omittable[str] = None


class DecisionsOut(Out):
    """The decisions, in the order of the requests."""

    decisions: list[DecisionOut]


def show_tokens(issued: IssuedTokens) -> TokensOut:
    """Return the tokens issued under a user's consent. Durations are in seconds."""
    refresh: dict[str, Any] = {"refresh_token": issued.refresh_token, "refresh_expires_in": issued.refresh_expires_in}
    links = [LinkOut(agent_id=link.agent_id, delegation_id=link.delegation_id) for link in issued.links]
    handed: dict[str, Any] = (
        {"delegation_id": issued.family.delegation_id, "actor": links[-1], "chain": links} if links else {}
    )
    return TokensOut(
        access_token=issued.access_token,
        token_type="Bearer",  # noqa: S106  a type, not a token
        expires_in=issued.expires_in,
        **(refresh if issued.refresh_token is not None else {}),
        granted_scopes=list(issued.scopes),
        user_id=issued.family.user_id,
        agent_id=issued.family.application_id,
        consent_id=issued.family.consent_id,
        **show_details(issued.authorization_details),
        **handed,
    )


def show_details(details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the field `authorization_details` of a response, which is left out if nothing is bounded."""
    return {"authorization_details": [GrantedDetailOut(**detail) for detail in details]} if details else {}


def show_decision(decision: Decision) -> dict[str, Any]:
    """Return the JSON of a `DecisionOut`, without the fields that do not apply.

    Danger: the fields must be those of `DecisionOut`, which is not used here because validation takes too long.
    """
    shown: dict[str, Any] = {"allowed": decision.allowed}
    if decision.reason is not None:
        shown["reason"] = decision.reason.value
    if not decision.is_known:
        return shown
    shown["userId"] = decision.user_id
    shown["agentId"] = decision.agent_id
    shown["consentId"] = decision.consent_id
    if decision.chain:
        shown |= show_chain(decision.chain)
    shown["grantedScopes"] = decision.granted_scopes
    if decision.expires_at is not None:
        shown["expiresAt"] = rfc3339(decision.expires_at)
    shown["auditId"] = decision.audit_id
    if decision.reservation_expires_at is not None:
        shown["reservationId"] = decision.reservation_id
        shown["reservationExpiresAt"] = rfc3339(decision.reservation_expires_at)
    if decision.trace is not None:
        shown["trace"] = [_show_rule(rule) for rule in decision.trace]
    return shown if decision.allowed else shown | _show_denial(decision)


def show_chain(chain: Sequence[Link]) -> dict[str, Any]:
    """Return the members of a decision about work that was handed on."""
    shown = [{"agentId": link.agent_id, "delegationId": link.delegation_id} for link in chain]
    return {"actor": shown[-1], "chain": shown}


def encode_decision(decision: Decision) -> bytes:
    """Return the JSON of `show_decision`. Allowed decisions about a token differ only in their ids, which come last."""
    is_plain = decision.reservation_expires_at is None and decision.trace is None and not decision.chain
    is_short = len(decision.granted_scopes) <= MAX_REMEMBERED_SCOPES
    if not (decision.allowed and is_plain and is_short and decision.is_known and decision.audit_id):
        return orjson.dumps(show_decision(decision))
    granted = decision.granted_scopes, decision.expires_at
    beginning = _encode_beginning(decision.user_id, decision.agent_id, decision.consent_id, *granted)
    return b'%b%b"}' % (beginning, decision.audit_id.encode())


@lru_cache(MAX_BEGINNINGS)
def _encode_beginning(
    user_id: str | None,
    agent_id: str | None,
    consent_id: str | None,
    granted_scopes: tuple[str, ...],
    expires_at: datetime | None,
) -> bytes:
    """Return the JSON of an allowed decision up to its id. Formatting it takes longer than looking it up."""
    decision = Decision(
        allowed=True,
        user_id=user_id,
        agent_id=agent_id,
        consent_id=consent_id,
        granted_scopes=granted_scopes,
        expires_at=expires_at,
        audit_id="",
    )
    return orjson.dumps(show_decision(decision)).removesuffix(b'"}')


def approval_url(approval_id: str) -> str:
    """Return the page where the user decides."""
    return f"{settings.API_URL}/approvals/{approval_id}"


def _show_rule(rule: RuleTrace) -> dict[str, Any]:
    policy = {"id": rule.policy_id, "name": rule.policy_name, "ruleIndex": rule.rule_index} if rule.policy_id else None
    return {"ruleType": rule.rule_type, "outcome": rule.outcome.value, "policy": policy, "detail": rule.detail}


def _show_denial(decision: Decision) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    policy = decision.policy
    if decision.missing_scopes:
        shown["missingScopes"] = decision.missing_scopes
    if policy is not None:
        shown["policy"] = {"id": policy.policy_id, "name": policy.policy_name, "ruleType": policy.rule_type}
    if decision.retry_after_seconds is not None:
        shown["retryAfterSeconds"] = decision.retry_after_seconds
    if decision.approval_id is not None:
        shown["approvalId"] = decision.approval_id
        shown["approvalUrl"] = approval_url(decision.approval_id)
    if decision.approval_status is not None:
        shown["approvalStatus"] = decision.approval_status.value
    return shown


class ForwardAuthQuery(Query):
    """The query of forward authorization, which the configuration of the proxy sets.

    Other parameters and empty ones are ignored.
    """

    scopes: Omittable[Text] = Field(
        None, max_length=MAX_QUERY, description="Separated by spaces. X-Required-Scopes can add more."
    )
    action: Omittable[Line] = Field(None, max_length=MAX_ACTION)
    resource: Omittable[Line] = Field(None, max_length=MAX_QUERY)
    resource_metadata: Omittable[Text] = Field(
        None,
        alias="resource_metadata",
        max_length=MAX_QUERY,
        description="The metadata URL in challenges (RFC 9728).",
    )
