"""Verify requests and their decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from approvals.statuses import ApprovalStatus
from core.actor import Actor
from core.chains import Link
from core.errors import DomainError
from core.net import canonical_address
from core.uris import find_canonical_uri
from limits.counting import Room
from policies.engine import Outcome, PolicyDenial

SCOPES_PER_COST = 10


class Reason(StrEnum):
    """Why a request is denied. The first that applies is reported, in this order."""

    INVALID_TOKEN = "invalid_token"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_REVOKED = "token_revoked"
    SERVICE_SUSPENDED = "service_suspended"
    ORGANIZATION_SUSPENDED = "organization_suspended"
    ORGANIZATION_STOPPED = "organization_stopped"
    AGENT_SUSPENDED = "agent_suspended"
    USER_INACTIVE = "user_inactive"
    DELEGATION_ENDED = "delegation_ended"
    CONSENT_REVOKED = "consent_revoked"
    CONSENT_EXPIRED = "consent_expired"
    CONSENT_PAUSED = "consent_paused"
    WRONG_AUDIENCE = "wrong_audience"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    POLICY_DENIED = "policy_denied"
    APPROVAL_REQUIRED = "approval_required"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a resource server sent to authenticate: its id and the digest of its secret, not checked yet."""

    server_id: str
    digest: str = field(repr=False)


class Repeat(NamedTuple):
    """Identifies a request of a call that may be repeated, by its place in the call.

    `key` is a digest of the call's `Idempotency-Key` and caller, and `digest` that of all that was sent.
    """

    key: str
    digest: str
    place: int = 0


class VerifyRequest(NamedTuple):
    """The question whether the bearer of `token` may do this now.

    `credential` is that of the service that asks, or None for an anonymous caller, which may name a service in
    `resource`. The decision's own transaction checks it. `context` may contain `ip`, the address of the service's
    caller. `encoded_context` is its canonical JSON, or empty if that is not known yet. With `is_forwarded`, a proxy
    forwards the caller's own request, so the address and user agent of `actor` are the caller's. With
    `is_introspection`, the caller only asks about the token (RFC 7662): no policy is evaluated. With `explains`, the
    decision has a trace of all rules. Only a caller with a credential may ask for it. With `reserve_seconds`, an
    allowed request holds its amount for that long, until it is committed or voided. Its context must have an amount
    that can be read. With `repeat`, it does so once (`decisions/repeats.py`). The requests of a call share its key: if
    one cannot be answered again, all are refused. The counters of all requests of a batch share its `room`, and their
    shadow policies its `shadow_room`.
    """

    token: str
    required_scopes: Sequence[str]
    actor: Actor
    credential: Credential | None = None
    action: str | None = None
    resource: str | None = None
    context: Mapping[str, Any] = MappingProxyType({})
    encoded_context: bytes = b""
    is_forwarded: bool = False
    is_introspection: bool = False
    explains: bool = False
    reserve_seconds: int | None = None
    repeat: Repeat | None = None
    room: Room | None = None
    shadow_room: Room | None = None

    @property
    def cost(self) -> int:
        """The request's cost in throttles: 1 per ten scopes, rounded up."""
        return max(1, -(-len(self.required_scopes) // SCOPES_PER_COST))

    @property
    def asked(self) -> Sequence[str]:
        """The required scopes, and the action if there is one."""
        return self.required_scopes if self.action is None else (*self.required_scopes, self.action)

    @property
    def asker(self) -> Actor:
        """The actor of the log entry. The origin of a forwarded request is left out, as it is not the service's own."""
        actor = self.actor._replace(ip=None, user_agent="") if self.is_forwarded else self.actor
        return actor.acting_as("service", self.credential.server_id) if self.credential else actor

    @property
    def ip(self) -> str | None:
        """The address that rules check: `context.ip`, or an anonymous caller's own address without one.

        None if it is unknown, or if `context.ip` is not an address.
        """
        stated = self.context.get("ip")
        if stated is not None:
            return canonical_address(str(stated))
        return None if self.credential else self.actor.ip

    @property
    def named_audience(self) -> str | None:
        """The canonical form of `resource`, or None if it cannot be an audience."""
        return find_canonical_uri(self.resource) if self.resource else None


class RuleTrace(NamedTuple):
    """What a rule said of a request. Of others' policies, the caller sees only the type and the outcome.

    The type `mode` stands for a scope that the user must approve each time.
    """

    rule_type: str
    outcome: Outcome
    policy_id: str | None = None
    policy_name: str | None = None
    rule_index: int | None = None
    detail: str | None = None


# How many seconds it takes to read the facts of a question and to write its entry.
LEAST_EFFORT = 0.00005


@dataclass(slots=True, kw_only=True)
class Decision:
    """The answer to a request. The store sets `audit_id` and `decided_at`, after which nothing changes it.

    For a token that we did not sign, only `allowed`, `reason` and `is_known` are set. If the caller's credential failed
    (`is_caller_refused`), or with a `problem`, nothing was decided and nothing was logged. Only introspection has the
    `targets` that bound the token's scopes.
    """

    allowed: bool
    reason: Reason | None = None
    user_id: str | None = None
    agent_id: str | None = None
    client_id: str | None = None
    consent_id: str | None = None
    token_id: str | None = None
    audience: tuple[str, ...] = ()
    granted_scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    audit_id: str | None = None
    decided_at: datetime | None = None
    missing_scopes: tuple[str, ...] = ()
    policy: PolicyDenial | None = None
    """The policy that denied, or whose rule asks for an approval."""
    approval_id: str | None = None
    """The approval that was used, or that is required."""
    approval_status: ApprovalStatus | None = None
    """Of the approval that is required: pending, or denied if the user has said no."""
    retry_after_seconds: int | None = None
    trace: tuple[RuleTrace, ...] | None = None
    targets: Mapping[str, Any] = MappingProxyType({})
    reservation_id: str | None = None
    reservation_expires_at: datetime | None = None
    chain: tuple[Link, ...] = ()
    """The agents from the first one to the one that acts, if the work was handed on."""
    is_known: bool = True
    is_caller_refused: bool = False
    problem: DomainError | None = None
    """Why a repeated request cannot be answered again."""
    effort: float = field(default=LEAST_EFFORT, compare=False)
    """About how long it took, in seconds, for the turns of tenants."""

    @property
    def is_answer(self) -> bool:
        """Whether anything was decided."""
        return not self.is_caller_refused and self.problem is None


UNKNOWN_TOKEN = Decision(allowed=False, reason=Reason.INVALID_TOKEN, is_known=False)
CALLER_REFUSED = Decision(allowed=False, is_known=False, is_caller_refused=True)
