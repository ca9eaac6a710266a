"""Request and response models for consents."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from agents.destinations import destination
from agents.selectors import document_host
from api.v1.schemas.base import BlankLine, BlankText, Moment, Omittable, OneOf, Out, RequestBody, Text, WholeNumber
from api.v1.schemas.policies import rule_schema
from api.v1.schemas.scopes import ScopeOut
from api.v1.schemas.tokens import ClientBody, GrantedDetailOut, show_details
from consent.codes import is_challenge
from consent.connections import CONSENT_LIFETIME, MAX_SCOPES, Choice
from consent.details import MAX_ACTION, MAX_ACTIONS, MAX_DETAILS, MAX_IDENTIFIER, MAX_IDENTIFIERS, AuthorizationDetail
from consent.models import Consent
from consent.narrowing import Narrowing
from consent.services import ConsentRequest
from consent.shown_services import ShownService, requested_services, services_of
from consent.targets import Pick, granted_details
from consent.terms import GUARD_MODES, MAX_LIMITS, MODES, GivenTerms, Terms, limit_types
from consent.usage import Usage, usage_of
from core import clock
from core.validation import invalid_fields, invalid_value
from resources.audiences import MAX_RESOURCES
from resources.catalogue import read_snapshot

MAX_SCOPE, MAX_URI, MAX_STATE = 200, 2000, 2000
MIN_LIFETIME, MAX_LIFETIME = 3600, 7_776_000  # an hour and 90 days, in seconds
DEFAULT_LIFETIME = int(CONSENT_LIFETIME.total_seconds())


def _limits_schema(rule: dict[str, Any]) -> dict[str, Any]:
    rules = {"type": "array", "maxItems": MAX_LIMITS, "items": rule}
    return {"type": "object", "additionalProperties": rules}


RULE_SCHEMA = {"oneOf": [rule_schema(name, without="actions") for name in limit_types()]}
SHOWN_RULE_SCHEMA = {
    "type": "object",
    "properties": {"type": {"type": "string", "enum": limit_types()}, "config": {"type": "object"}},
    "required": ["type", "config"],
}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _check_challenge(challenge: str) -> str:
    if not is_challenge(challenge):
        raise invalid_value("Must be a SHA-256 digest in base64url, 43 characters (RFC 7636).")
    return challenge


Challenge = Annotated[Text, Field(max_length=128), AfterValidator(_check_challenge)]
ConsentStatus = Annotated[str, OneOf(*Consent.Status.values)]
Scopes = list[Annotated[Text, Field(max_length=MAX_SCOPE)]]
Resources = Annotated[list[Annotated[Text, Field(max_length=MAX_URI)]], Field(min_length=1, max_length=MAX_RESOURCES)]
ScopeId = Annotated[Text, Field(max_length=MAX_SCOPE)]
Mode = Annotated[str, OneOf(*MODES)]
GuardMode = Annotated[str, OneOf(*GUARD_MODES)]
DelegationMode = Annotated[str, OneOf(*Consent.Delegation.values)]
# `{"<scope>": [{"type", "config"}]}`. `consent.terms` validates the rules.
GivenLimits = Annotated[dict[ScopeId, Any], WithJsonSchema(_limits_schema(RULE_SCHEMA))]
ShownLimits = Annotated[dict[str, Any], WithJsonSchema(_limits_schema(SHOWN_RULE_SCHEMA))]
# The identifier of a resource server, or a list of identifiers (RFC 8707 section 2).
OneOrMoreResources = Annotated[
    Resources,
    BeforeValidator(_as_list, json_schema_input_type=Annotated[Text, Field(max_length=MAX_URI)] | Resources),
]


class GuardsBody(RequestBody):
    """Guards of the whole connection."""

    data_flow: Omittable[GuardMode] = Field(
        None,
        # The names of guards are those of rule types.
        alias="data_flow",
        description="Ask, or deny, before data can leave once a task has read private data and text of others.",
    )


class InitiateBody(ClientBody):
    """A consent request: what the agent asks for."""

    client_id: Text = Field(max_length=2000)
    requested_scopes: Scopes = Field(min_length=1, max_length=MAX_SCOPES)
    optional_scopes: Scopes = Field([], max_length=MAX_SCOPES)
    redirect_uri: Text = Field(max_length=MAX_URI)
    user_id: BlankText = Field("", max_length=64)
    state: BlankText = Field("", max_length=MAX_STATE)
    code_challenge: Omittable[Challenge] = None
    code_challenge_method: Omittable[Literal["S256"]] = None
    resource: OneOrMoreResources = []
    reason: BlankLine = Field("", max_length=200)
    authorization_details: list[AuthorizationDetail] = Field([], max_length=MAX_DETAILS)

    @model_validator(mode="after")
    def _require_challenge(self) -> Self:
        if self.code_challenge_method and not self.code_challenge:
            raise invalid_fields(type(self), [("codeChallenge", "Required with codeChallengeMethod.")])
        return self

    def consent_request(self) -> ConsentRequest:
        return ConsentRequest(
            scopes=self.requested_scopes,
            optional_scopes=self.optional_scopes,
            redirect_uri=self.redirect_uri,
            user_id=self.user_id,
            state=self.state,
            code_challenge=self.code_challenge or "",
            resource=self.resource,
            reason=self.reason,
            authorization_details=self.authorization_details,
        )


class PickBody(RequestBody):
    """The identifiers to grant of a detail. `actions` are its own, needed if several details have this type."""

    type: Text = Field(max_length=MAX_ACTION)
    identifiers: list[Annotated[Text, Field(max_length=MAX_IDENTIFIER)]] = Field(max_length=MAX_IDENTIFIERS)
    actions: Omittable[list[Annotated[Text, Field(max_length=MAX_ACTION)]]] = Field(None, max_length=MAX_ACTIONS)

    def pick(self) -> Pick:
        return Pick(self.type, self.identifiers, self.actions)


class TermsBody(RequestBody):
    """How the user bounds scopes. What is left out stays as it is."""

    modes: dict[ScopeId, Mode] = Field({}, max_length=MAX_SCOPES, description="`ask`: the user approves every use.")
    limits: GivenLimits = Field({}, max_length=MAX_SCOPES)
    guards: Omittable[GuardsBody] = None
    delegation: Omittable[DelegationMode] = Field(
        None,
        description="To which other agents the agent may hand a part of what it may do: to none, to those of its own "
        "developer, or also to those of developers that are verified at the time of each call.",
    )

    def terms(self) -> GivenTerms:
        guards = self.guards.sent() if self.guards else {}
        return GivenTerms(modes=self.modes, limits=self.limits, guards=guards)


class ApproveBody(TermsBody):
    """The scopes to grant: requested or currently live ones. The default is all requested scopes.

    New scopes are allowed without asking unless `modes` says `ask`, except for critical ones, which always ask. Scopes
    that are live already keep their mode and limits, except for what this decision says. `expiresInSeconds` is how
    long the whole connection lasts, 30 days by default. `targets` are what to grant of the authorization details, by
    default all of it. `delegation` stays as it is by default; newly granting `agents:delegate` makes `none` a
    `developer`, and removing that scope makes it `none`. For a client that registered itself, it can only be `none`.
    """

    scopes: Omittable[Scopes] = Field(None, max_length=MAX_SCOPES)
    targets: Omittable[list[PickBody]] = Field(None, max_length=MAX_DETAILS)
    expires_in_seconds: WholeNumber = Field(DEFAULT_LIFETIME, ge=MIN_LIFETIME, le=MAX_LIFETIME)

    def choice(self) -> Choice:
        lifetime = timedelta(seconds=self.expires_in_seconds)
        picks = None if self.targets is None else [target.pick() for target in self.targets]
        return Choice(
            scopes=self.scopes, targets=picks, terms=self.terms(), lifetime=lifetime, delegation=self.delegation
        )


class NarrowBody(TermsBody):
    """What to take back. A scope can only turn from `allow` to `ask`, and a guard and `delegation` only become tighter.

    `limits` are all limits of a scope afterwards: the existing ones, or of the same kind with a smaller maximum or
    fewer values, and new ones. `targets` are what is left of the granted authorization details that they name.
    `expiresInSeconds` is from now on, and not after the present end. Without the scope `agents:delegate`, if it is
    removed, `delegation` becomes `none`.
    """

    targets: list[PickBody] = Field([], max_length=MAX_DETAILS)
    remove_scopes: Scopes = Field([], max_length=MAX_SCOPES)
    expires_in_seconds: Omittable[WholeNumber] = Field(None, ge=1, le=MAX_LIFETIME)

    def narrowing(self) -> Narrowing:
        seconds = self.expires_in_seconds
        lifetime = None if seconds is None else timedelta(seconds=seconds)
        picks = [target.pick() for target in self.targets]
        return Narrowing(
            terms=self.terms(),
            targets=picks,
            remove_scopes=self.remove_scopes,
            lifetime=lifetime,
            delegation=self.delegation,
        )


class PendingConsentOut(Out):
    """A new consent request. Send the user to `consentUrl` within ten minutes."""

    consent_id: str
    consent_url: Annotated[str, Field(json_schema_extra={"format": "uri"})]
    status: Literal["pending"]
    expires_at: Moment


class ConsentDeveloperOut(Out):
    """The developer of an agent. `verified` means that an administrator of this server has checked who they are.

    A client that registered itself has no developer. Its `name` is the host that publishes its metadata or, without
    one, the host to which this request returns.
    """

    name: str
    verified: bool


class ConsentAgentOut(Out):
    """An agent as users see it."""

    name: str
    description: str
    developer: ConsentDeveloperOut


class ConnectedAgentOut(ConsentAgentOut):
    """An agent as seen by a user who has a consent for it."""

    id: str


class AudienceOut(Out):
    """A service that the tokens are for, as the consent screen named it.

    Without a `name`, it stands for all services of the agent's own organization, which is the default. `isForeign`
    means that another organization than the agent's runs the service; of a client that registered itself, all are.
    """

    identifier: str
    name: str
    host: str
    organization: str
    is_foreign: bool


class ConsentOut(Out):
    """A consent request. `requestedScopes` have the descriptions that they had when the agent asked.

    `audiences` are the services for which it asks.
    `authorizationDetails` is what it asks to act on. Only the owner sees what was granted, and the terms: `modes` has
    only scopes that ask, `guards` only those in force. A decided consent has `pausedAt`: since when the user pauses the
    agent, or null.
    """

    id: str
    status: ConsentStatus
    agent: ConsentAgentOut
    audiences: list[AudienceOut]
    requested_scopes: list[ScopeOut]
    redirect_uri: str
    reason: str
    expires_at: Moment
    authorization_details: Omittable[list[GrantedDetailOut]] = None
    granted_scopes: Omittable[list[str]] = None
    paused_at: Moment | None = None
    modes: Omittable[dict[str, Mode]] = None
    limits: Omittable[ShownLimits] = None
    guards: Omittable[dict[str, GuardMode]] = None
    delegation: Omittable[DelegationMode] = None
    granted_authorization_details: Omittable[list[GrantedDetailOut]] = None


class ApprovedConsentOut(Out):
    """An approved consent. The code is shown only here and works once, within 60 seconds.

    `grantedScopes` is everything that the agent may do now, bounded by `authorizationDetails`.
    """

    status: Literal["approved"]
    code: str
    redirect_url: str
    granted_scopes: list[str]
    authorization_details: Omittable[list[GrantedDetailOut]] = None


class DeniedConsentOut(Out):
    """A denied consent. Send the user to `redirectUrl`, which informs the agent."""

    status: Literal["denied"]
    redirect_url: str


class ScopeUseOut(Out):
    """How often verify required a granted scope and allowed the request, and when it last did."""

    id: str
    uses: int
    last_used_at: Moment | None


class ConnectedConsentOut(Out):
    """One of the user's own consents. `modes` has only scopes that ask, `guards` only those in force.

    `delegation` is to which other agents this one may hand work.

    `audiences` are the services for which it was requested, then those of earlier requests that it replaced.

    `pausedAt` is since when the user pauses this agent, or null.

    `scopeUses` are the uses of the granted scopes, under this consent and those that it replaced.
    `suggestedRemovals` are the scopes that a live consent has granted for 30 days or longer, and that the agent has not
    used for 30 days.
    """

    id: str
    status: ConsentStatus
    agent: ConnectedAgentOut
    audiences: list[AudienceOut]
    granted_scopes: list[str]
    modes: dict[str, Mode]
    limits: ShownLimits
    guards: dict[str, GuardMode]
    delegation: DelegationMode
    created_at: Moment
    decided_at: Moment | None
    last_used_at: Moment | None
    scope_uses: list[ScopeUseOut]
    suggested_removals: list[str]
    expires_at: Moment
    paused_at: Moment | None
    authorization_details: Omittable[list[GrantedDetailOut]] = None


class RevokedConsentOut(Out):
    """The revoked consent: the one in the path, or the one that replaced it."""

    id: str
    status: Literal["revoked"]
    revoked_at: Moment


def show_consent(consent: Consent, *, is_owner: bool) -> ConsentOut:
    """Return the consent as its owner or another permitted caller sees it."""
    scopes = [scope for scope in read_snapshot(consent.shown_scopes) if scope.id in consent.requested_scopes]
    only_decided: dict[str, Any] = {"paused_at": consent.paused_at} if consent.decided_at else {}
    return ConsentOut(
        id=consent.id,
        status=consent.status_at(clock.now()),
        agent=ConsentAgentOut(**_agent_fields(consent)),
        audiences=_show_services(requested_services(consent)),
        requested_scopes=[ScopeOut.model_validate(scope) for scope in scopes],
        redirect_uri=consent.redirect_uri,
        reason=consent.reason,
        expires_at=consent.expires_at,
        **show_details(consent.authorization_details),
        **(_show_granted(consent) if is_owner else {}),
        **only_decided,
    )


def _show_granted(consent: Consent) -> dict[str, Any]:
    """Return what only the owner sees."""
    details = show_granted_details(consent)
    granted = {"granted_authorization_details": details["authorization_details"]} if details else {}
    return {"granted_scopes": consent.granted_scopes, **granted, **_terms_fields(consent)}


def show_granted_details(consent: Consent) -> dict[str, Any]:
    """Return the field `authorization_details` with what is granted, or nothing if no scope is bounded."""
    return show_details(granted_details(consent.targets, consent.granted_scopes))


def show_consents(consents: Sequence[Consent]) -> list[ConnectedConsentOut]:
    """Return a user's own consents. Their uses are read from the log."""
    now = clock.now()
    usage = usage_of(consents, now)
    return [
        ConnectedConsentOut(
            id=consent.id,
            status=consent.status_at(now),
            agent=ConnectedAgentOut(id=consent.agent.id, **_agent_fields(consent)),
            audiences=_show_services(services_of(consent)),
            granted_scopes=consent.granted_scopes,
            **_terms_fields(consent),
            created_at=consent.created_at,
            decided_at=consent.decided_at,
            last_used_at=usage[consent.id].uses.last_at,
            scope_uses=_scope_uses(consent, usage[consent.id]),
            suggested_removals=list(usage[consent.id].suggested_removals),
            expires_at=consent.expires_at,
            paused_at=consent.paused_at,
            **show_granted_details(consent),
        )
        for consent in consents
    ]


def show_connection(consent: Consent) -> ConnectedConsentOut:
    return show_consents([consent])[0]


def _show_services(services: Sequence[ShownService]) -> list[AudienceOut]:
    return [AudienceOut.model_validate(service) for service in services]


def _terms_fields(consent: Consent) -> dict[str, Any]:
    terms = Terms.read(consent.terms)
    return {"modes": terms.modes, "limits": terms.limits, "guards": terms.guards, "delegation": consent.delegation}


def _scope_uses(consent: Consent, usage: Usage) -> list[ScopeUseOut]:
    uses = [(scope, usage.uses.scopes.get(scope)) for scope in consent.granted_scopes]
    return [
        ScopeUseOut(id=scope, uses=use.number if use else 0, last_used_at=use.last_at if use else None)
        for scope, use in uses
    ]


def _agent_fields(consent: Consent) -> dict[str, Any]:
    """Return the agent's name, description and developer, as `ConsentDeveloperOut` describes them."""
    agent, organization = consent.agent, consent.agent.organization
    name = organization.name if organization else document_host(agent) or destination(consent.redirect_uri)
    verified = organization.is_verified if organization else False
    developer = ConsentDeveloperOut(name=name, verified=verified)
    return {"name": agent.name, "description": agent.description, "developer": developer}
