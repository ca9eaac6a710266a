"""Request and response models for consents."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agents.redirects import destination
from agents.selectors import document_host
from api.v1.schemas.base import BlankLine, BlankText, Moment, Omittable, OneOf, Out, RequestBody, Text
from api.v1.schemas.scopes import ScopeOut
from api.v1.schemas.tokens import ClientBody
from consent.models import Consent
from consent.pkce import is_challenge
from consent.selectors import last_uses_of
from core import clock
from core.validation import invalid_fields, invalid_value
from resources.catalogue import read_snapshot

MAX_SCOPES, MAX_SCOPE, MAX_URI, MAX_STATE, MAX_RESOURCES = 100, 200, 2000, 2000, 20


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
# The identifier of a resource server, or a list of identifiers (RFC 8707 section 2).
OneOrMoreResources = Annotated[
    Resources,
    BeforeValidator(_as_list, json_schema_input_type=Annotated[Text, Field(max_length=MAX_URI)] | Resources),
]


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

    @model_validator(mode="after")
    def _require_challenge(self) -> Self:
        if self.code_challenge_method and not self.code_challenge:
            raise invalid_fields(type(self), [("codeChallenge", "Required with codeChallengeMethod.")])
        return self


class ApproveBody(RequestBody):
    """The scopes to grant: requested or currently live ones. The default is all requested scopes."""

    scopes: Omittable[Scopes] = Field(None, max_length=MAX_SCOPES)


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


class ConsentOut(Out):
    """A consent request. `requestedScopes` have the descriptions that they had when the agent asked.

    Only the owner sees `grantedScopes`. A decided consent has `pausedAt`: since when the user
    pauses the agent, or null.
    """

    id: str
    status: ConsentStatus
    agent: ConsentAgentOut
    requested_scopes: list[ScopeOut]
    redirect_uri: str
    reason: str
    expires_at: Moment
    granted_scopes: Omittable[list[str]] = None
    paused_at: Moment | None = None


class ApprovedConsentOut(Out):
    """An approved consent. The code is shown only here and works once, within 60 seconds.

    `grantedScopes` is everything that the agent may do now.
    """

    status: Literal["approved"]
    code: str
    redirect_url: str
    granted_scopes: list[str]


class DeniedConsentOut(Out):
    """A denied consent. Send the user to `redirectUrl`, which informs the agent."""

    status: Literal["denied"]
    redirect_url: str


class ConnectedConsentOut(Out):
    """One of the user's own consents. `pausedAt` is since when the user pauses this agent, or null."""

    id: str
    status: ConsentStatus
    agent: ConnectedAgentOut
    granted_scopes: list[str]
    created_at: Moment
    decided_at: Moment | None
    last_used_at: Moment | None
    expires_at: Moment
    paused_at: Moment | None


class RevokedConsentOut(Out):
    """The revoked consent: the one in the path, or the one that replaced it."""

    id: str
    status: Literal["revoked"]
    revoked_at: Moment


def show_consent(consent: Consent, *, is_owner: bool) -> ConsentOut:
    """Return the consent as its owner or another permitted caller sees it."""
    scopes = [scope for scope in read_snapshot(consent.shown_scopes) if scope.id in consent.requested_scopes]
    only_owner: dict[str, Any] = {"granted_scopes": consent.granted_scopes} if is_owner else {}
    only_decided: dict[str, Any] = {"paused_at": consent.paused_at} if consent.decided_at else {}
    return ConsentOut(
        id=consent.id,
        status=consent.status_at(clock.now()),
        agent=ConsentAgentOut(**_agent_fields(consent)),
        requested_scopes=[ScopeOut.model_validate(scope) for scope in scopes],
        redirect_uri=consent.redirect_uri,
        reason=consent.reason,
        expires_at=consent.expires_at,
        **only_owner,
        **only_decided,
    )


def show_consents(consents: Sequence[Consent]) -> list[ConnectedConsentOut]:
    """Return a user's own consents. Their last uses are read from the log."""
    now, used = clock.now(), last_uses_of(consents)
    return [
        ConnectedConsentOut(
            id=consent.id,
            status=consent.status_at(now),
            agent=ConnectedAgentOut(id=consent.agent.id, **_agent_fields(consent)),
            granted_scopes=consent.granted_scopes,
            created_at=consent.created_at,
            decided_at=consent.decided_at,
            last_used_at=used.get(consent.id),
            expires_at=consent.expires_at,
            paused_at=consent.paused_at,
        )
        for consent in consents
    ]


def _agent_fields(consent: Consent) -> dict[str, Any]:
    """Return the agent's name, description and developer, as `ConsentDeveloperOut` describes them."""
    agent, organization = consent.agent, consent.agent.organization
    name = organization.name if organization else document_host(agent) or destination(consent.redirect_uri)
    verified = organization.is_verified if organization else False
    developer = ConsentDeveloperOut(name=name, verified=verified)
    return {"name": agent.name, "description": agent.description, "developer": developer}
