"""The API's responses as frozen dataclasses.

Names are those of the JSON in snake_case. Unknown fields are ignored; missing fields and wrong types raise
`UnexpectedResponseError`. Secrets are never part of a repr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. `next_cursor` is None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]


@dataclass(frozen=True)
class Stop:
    """A stop: of an agent by an administrator, or of an organization by its own owner or admin.

    Only those who may set it can lift it.
    """

    at: datetime
    reason: str


@dataclass(frozen=True)
class Agent:
    """An agent. `status` is set by the developer; `stop` applies whatever `status` is."""

    id: str
    client_id: str
    name: str
    description: str | None
    redirect_uris: tuple[str, ...]
    allowed_scopes: tuple[str, ...]
    status: str
    created_at: datetime
    updated_at: datetime
    require_pkce: bool = False
    stop: Stop | None = None
    homepage_url: str | None = None
    privacy_url: str | None = None
    logo_url: str | None = None


@dataclass(frozen=True)
class NewAgent(Agent):
    """A new agent with its secret, which is shown only once."""

    client_secret: str = field(kw_only=True, repr=False)


@dataclass(frozen=True)
class Secret:
    """A client secret that works, without its value. `hint` is how that begins and ends."""

    id: str
    name: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class NewClientSecret(Secret):
    """A new client secret, which is shown only once. After a rotation, the old one works until then."""

    client_id: str = field(kw_only=True)
    client_secret: str = field(kw_only=True, repr=False)
    previous_secret_expires_at: datetime | None = field(kw_only=True, default=None)


@dataclass(frozen=True)
class ApiKey(Secret):
    """An API key that works, without its value.

    It may do what `role` may or, if that is less, what its member may now. It reaches only the agents in
    `agent_ids`; None for all of the organization. A key that is `owned_by_organization` has no member.
    `made_by` is the `dev_` id of the member who made it.
    """

    role: str | None = None
    agent_ids: tuple[str, ...] | None = None
    owned_by_organization: bool = False
    made_by: str | None = None


@dataclass(frozen=True)
class NewApiKey(ApiKey):
    """A new API key, which is shown only once. After a rotation, the old one works until then."""

    api_key: str = field(kw_only=True, repr=False)
    previous_key_expires_at: datetime | None = field(kw_only=True, default=None)


@dataclass(frozen=True)
class RotatedSecret:
    """A new client secret. The old one works until `previous_secret_expires_at`."""

    client_id: str
    client_secret: str = field(repr=False)
    previous_secret_expires_at: datetime | None = None


@dataclass(frozen=True)
class RotatedApiKey:
    """A new API key, with its end, if any. The old one works until `previous_key_expires_at`."""

    api_key: str = field(repr=False)
    previous_key_expires_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class UserSession:
    """A sign-in. `session_token` is a credential of `AgentGateAdmin` until `expires_at`."""

    id: str
    name: str
    email: str
    session_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Organization:
    """An organization. `role` and `member_id` are the caller's; `member_id` is None for its own API keys.

    `stop` is the organization's own, which its owners and admins set and lift. At `deletes_at` it is deleted.
    """

    id: str
    name: str
    domain: str | None
    verified: bool
    stop: Stop | None
    created_at: datetime
    deletes_at: datetime | None = None
    role: str | None = None
    member_id: str | None = None


@dataclass(frozen=True)
class NamedOrganization:
    """An organization as its future members see it, too. `domain` is the one that it has proved."""

    id: str
    name: str
    domain: str | None = None
    verified: bool = False


@dataclass(frozen=True)
class Membership:
    """An organization that the signed-in user is a member of, with their role and `dev_` id in it."""

    organization: NamedOrganization
    role: str
    member_id: str


@dataclass(frozen=True)
class Member:
    """A member of the organization. `id` is that of the membership, `dev_...`."""

    id: str
    user_id: str
    email: str
    name: str
    role: str
    created_at: datetime
    last_active_at: datetime | None = None


@dataclass(frozen=True)
class Invitation:
    """An invitation by email. Only the user who has verified the address can accept it, until `expires_at`.

    `status` is pending, accepted, declined, revoked, expired, or replaced by a newer one. `invited_by` is the
    `dev_` id of a member.
    """

    id: str
    email: str
    role: str
    expires_at: datetime
    status: str
    invited_by: str | None = None


@dataclass(frozen=True)
class OwnInvitation(Invitation):
    """An invitation to the signed-in user."""

    organization: NamedOrganization = field(kw_only=True)


@dataclass(frozen=True)
class StopImpact:
    """What a stop ends: live connections, their users, and token families that can still yield tokens."""

    connections: int
    live_tokens: int
    allowed_last_day: int
    agents: int | None = None
    users: int | None = None
    last_allowed_at: datetime | None = None


@dataclass(frozen=True)
class StopProof:
    """What the log says about the newest stop. `allowed_after` is 0 unless something is wrong.

    `until` is when it was lifted; None while it is in force.
    """

    event: str
    reason: str | None
    stopped_at: datetime
    entry_id: str
    allowed_after: int
    until: datetime | None = None


@dataclass(frozen=True)
class OrganizationStop:
    """What stopping the organization's agents ends, and the proof of its newest stop. None without one."""

    impact: StopImpact
    proof: StopProof | None


@dataclass(frozen=True)
class PendingConsent:
    """A consent request. Send the user to `consent_url`, which shows the request to anyone with the URL."""

    consent_id: str
    consent_url: str
    status: str
    expires_at: datetime


@dataclass(frozen=True)
class Link:
    """An agent of a chain, and the delegation by which it acts: None for the first agent."""

    agent_id: str
    delegation_id: str | None = None


@dataclass(frozen=True)
class NewDelegation:
    """What an agent handed over. The other agent redeems the token once, within a minute.

    Send `delegation_token` only to that agent. It is not printed.
    """

    id: str
    delegation_token: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True)
class NamedAgent:
    """An agent that hands over or receives."""

    id: str
    name: str


@dataclass(frozen=True)
class Delegation:
    """What an agent handed to another one. `parent_id` is the delegation by which the first of them acts.

    `status` is "active" or "ended"; it has ended, too, if anything above it has. `used` is what was used of
    its limits, by the receiver and all to which it handed work on.
    """

    id: str
    parent_id: str | None
    from_: NamedAgent
    to: NamedAgent
    scopes: tuple[str, ...]
    limits: Mapping[str, Any]
    used: tuple[Any, ...]
    status: str
    expires_at: datetime
    targets: tuple[Any, ...] = ()
    task: str = ""
    max_depth: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Tokens:
    """The tokens of an exchange or a refresh. Durations are in seconds from the response.

    If another agent handed the work over, `chain` has the agents from the first one to this one, and there is
    no refresh token if the delegation ends before the access token would.
    """

    access_token: str = field(repr=False)
    expires_in: int
    granted_scopes: tuple[str, ...]
    user_id: str | None
    agent_id: str
    consent_id: str | None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_in: int | None = None
    token_type: str = "Bearer"
    delegation_id: str | None = None
    chain: tuple[Link, ...] = ()


@dataclass(frozen=True)
class PolicyReference:
    """The policy that denied, and the type of the rule."""

    id: str
    name: str
    rule_type: str | None = None


@dataclass(frozen=True)
class TracedPolicy:
    """The policy of a rule in a trace, and the rule's index."""

    id: str
    name: str
    rule_index: int


@dataclass(frozen=True)
class RuleTrace:
    """What one rule said: "passed", "denied", "asked" or "not_concerned".

    `policy` is None for a rule of another organization or of the user.
    """

    rule_type: str
    outcome: str
    policy: TracedPolicy | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Decision:
    """Whether the agent may do this, for this user, now. A denial is a decision, not an exception.

    `reason` says why it was denied. `unknown` lists what the decision could not consider: empty for a live
    decision, `("revocation", "policies", ...)` for an offline one. With the reason "approval_required", the
    user decides at `approval_url`; `approval_status` is "pending" until then, or "denied": then do not send
    the request again. After waiting, it can also be "expired" or "used". `trace` is what each rule said, for
    a resource server that asks with `explain=True`.

    If the work was handed on, `chain` has the agents from the first one, to which the user granted, to the
    `actor`. An offline decision names them by their client ids.
    """

    allowed: bool
    reason: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    consent_id: str | None = None
    actor: Link | None = None
    chain: tuple[Link, ...] = ()
    granted_scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    audit_id: str | None = None
    missing_scopes: tuple[str, ...] = ()
    policy: PolicyReference | None = None
    retry_after_seconds: int | None = None
    approval_id: str | None = None
    approval_url: str | None = None
    unknown: tuple[str, ...] = ()
    approval_status: str | None = None
    reservation_id: str | None = None
    reservation_expires_at: datetime | None = None
    trace: tuple[RuleTrace, ...] | None = None

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class ResolvedReservation:
    """A reservation that is "committed" or "voided". `final_amount` is what counts, None if it is voided."""

    id: str
    status: str
    amount: str
    currency: str
    expires_at: datetime
    final_amount: str | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True)
class Approval:
    """A request that its user must approve. `status` is pending, approved, denied, expired or used.

    The user sees `code`, too. Services do not get it.
    """

    id: str
    status: str
    expires_at: datetime
    code: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule of a policy; see `agentgate_oauth.rules` for constructors. `config` is the API's JSON."""

    type: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Policy:
    """A policy. Its `mode` is "enforce", or "shadow": then it only logs what it would have denied."""

    id: str
    name: str
    description: str | None
    agent_id: str | None
    enabled: bool
    rules: tuple[Rule, ...]
    created_at: datetime
    updated_at: datetime
    mode: str = "enforce"


@dataclass(frozen=True)
class SimulatedRule:
    """What one rule of a simulated policy said: "passed", "denied", "asked" or "not_concerned"."""

    rule_index: int
    rule_type: str
    outcome: str
    detail: str | None = None
    retry_after_seconds: int | None = None


@dataclass(frozen=True)
class Simulation:
    """What a policy says of one request: that of its strictest rule, "not_concerned" without one."""

    outcome: str
    trace: tuple[SimulatedRule, ...]


@dataclass(frozen=True)
class ReplayChange:
    """How often one rule would have changed decisions about one agent. A draft has no `policy_id`."""

    agent_id: str
    policy_id: str | None
    rule_type: str
    rule_index: int
    newly_denied: int
    newly_allowed: int
    newly_asked: int


@dataclass(frozen=True)
class Undecided:
    """How many logged requests could not be decided again: their context is long, erased or hidden."""

    truncated: int = 0
    erased: int = 0
    hidden: int = 0


@dataclass(frozen=True)
class Replay:
    """What a policy would have changed in the decisions of the last days. Totals do not depend on `changes`.

    `truncated`: it ended early and lacks the newest decisions.
    """

    from_: datetime | None
    to: datetime | None
    decisions: int
    newly_denied: int
    newly_allowed: int
    newly_asked: int
    undecided: Undecided
    changes: tuple[ReplayChange, ...]
    truncated: bool = False


@dataclass(frozen=True)
class ChainedAgent(Link):
    """An agent of the chain of an entry, with its organization."""

    organization_id: str | None = None


@dataclass(frozen=True)
class AuditEntry:
    """An entry of the log. If the work was handed on, `chain` has the agents from the first to the last."""

    id: str
    timestamp: datetime
    event: str
    outcome: str
    reason: str | None = None
    policy_id: str | None = None
    agent_id: str | None = None
    user_id: str | None = None
    consent_id: str | None = None
    action: str | None = None
    scopes: tuple[str, ...] | None = None
    resource: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    chain: tuple[ChainedAgent, ...] = ()


@dataclass(frozen=True)
class EventStream:
    """The organization, and the number of an event in its stream: 1, 2, 3, … without gaps."""

    id: str
    number: int


@dataclass(frozen=True)
class Event:
    """An event of the organization. `data` is the entry of its log."""

    id: str
    type: str
    timestamp: datetime
    stream: EventStream
    data: AuditEntry


@dataclass(frozen=True)
class EventPage:
    """Events in the order of their numbers. `next` is the `after` of the next call, also without events."""

    items: tuple[Event, ...]
    next: int

    def __iter__(self) -> Iterator[Event]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class ResourceServer:
    """A service that accepts tokens. `identifier` is their audience."""

    id: str
    name: str
    identifier: str
    scopes: tuple[Any, ...]


@dataclass(frozen=True)
class NewResourceServer(ResourceServer):
    """A new resource server with its secret, which is shown only once."""

    secret: str = field(kw_only=True, repr=False)


@dataclass(frozen=True)
class RotatedResourceSecret:
    """A new secret of a resource server. The old one works until `previous_secret_expires_at`."""

    id: str
    secret: str = field(repr=False)
    previous_secret_expires_at: datetime | None = None


@dataclass(frozen=True)
class Scope:
    """A scope of the catalogue. `description` says what it permits, `cannot` what it does not.

    `covers` are the actions that it permits besides its own id. `labels` are what it does with data.
    """

    id: str
    category: str
    risk_level: str
    title: str
    description: str
    cannot: str | None = None
    labels: tuple[str, ...] = ()
    reversible: bool = True
    asks: bool = False
    covers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Introspection:
    """The introspection of a token (RFC 7662): its live state. Runs no policies and counts nothing."""

    active: bool
    scope: str = ""
    sub: str | None = None
    client_id: str | None = None
    aud: Any = None
    exp: int | None = None
    consent_id: str | None = None
    actor: Link | None = None
    chain: tuple[Link, ...] = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(self.scope.split())
