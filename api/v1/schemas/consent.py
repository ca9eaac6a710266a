"""Consents, as they are asked for, shown and decided."""

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
from core.validation import wrong, wrong_fields
from resources.catalogue import read_snapshot

MAX_SCOPES, MAX_SCOPE, MAX_URI, MAX_STATE, MAX_RESOURCES = 100, 200, 2000, 2000, 20


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _check_challenge(challenge: str) -> str:
    if not is_challenge(challenge):
        raise wrong("Must be the base64url of a SHA-256: 43 characters (RFC 7636).")
    return challenge


Challenge = Annotated[Text, Field(max_length=128), AfterValidator(_check_challenge)]
ConsentStatus = Annotated[str, OneOf(*Consent.Status.values)]
Scopes = list[Annotated[Text, Field(max_length=MAX_SCOPE)]]
Resources = Annotated[list[Annotated[Text, Field(max_length=MAX_URI)]], Field(min_length=1, max_length=MAX_RESOURCES)]
# One identifier of a resource server, or a list of them (RFC 8707 section 2).
OneOrMoreResources = Annotated[
    Resources,
    BeforeValidator(_as_list, json_schema_input_type=Annotated[Text, Field(max_length=MAX_URI)] | Resources),
]


class InitiateBody(ClientBody):
    """What an agent asks for."""

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
            raise wrong_fields(type(self), [("codeChallenge", "Required with codeChallengeMethod.")])
        return self


class ApproveBody(RequestBody):
    """Which scopes to grant: requested or currently live ones. All requested ones by default."""

    scopes: Omittable[Scopes] = Field(None, max_length=MAX_SCOPES)


class PendingConsentOut(Out):
    """Send the person to `consentUrl` within ten minutes."""

    consent_id: str
    consent_url: Annotated[str, Field(json_schema_extra={"format": "uri"})]
    status: Literal["pending"]
    expires_at: Moment


class ConsentDeveloperOut(Out):
    """Who answers for an agent. `verified` says that an administrator of this server has checked who they are.

    A client that registered itself has no developer: `name` is the host that publishes its metadata, or else the one
    to which this request returns.
    """

    name: str
    verified: bool


class ConsentAgentOut(Out):
    """An agent as a person sees it."""

    name: str
    description: str
    developer: ConsentDeveloperOut


class ConnectedAgentOut(ConsentAgentOut):
    """An agent as a person who has a consent for it sees it."""

    id: str


class ConsentOut(Out):
    """A request for consent. `requestedScopes` are in the words of the moment when the agent asked.

    Only its owner sees `grantedScopes`.
    """

    id: str
    status: ConsentStatus
    agent: ConsentAgentOut
    requested_scopes: list[ScopeOut]
    redirect_uri: str
    reason: str
    expires_at: Moment
    granted_scopes: Omittable[list[str]] = None


class ApprovedConsentOut(Out):
    """The code appears here once, lives 60 seconds and works once. `grantedScopes` is all that the agent may do now."""

    status: Literal["approved"]
    code: str
    redirect_url: str
    granted_scopes: list[str]


class DeniedConsentOut(Out):
    """Send the person to `redirectUrl`, which tells the agent."""

    status: Literal["denied"]
    redirect_url: str


class ConnectedConsentOut(Out):
    """One of a person's own consents."""

    id: str
    status: ConsentStatus
    agent: ConnectedAgentOut
    granted_scopes: list[str]
    created_at: Moment
    decided_at: Moment | None
    last_used_at: Moment | None
    expires_at: Moment


class RevokedConsentOut(Out):
    """The consent that has ended: the one that was named, or the one that replaced it."""

    id: str
    status: Literal["revoked"]
    revoked_at: Moment


def show_consent(consent: Consent, *, is_owner: bool) -> ConsentOut:
    """Return the consent as its owner, or as anybody else who may read it, sees it."""
    scopes = [scope for scope in read_snapshot(consent.shown_scopes) if scope.id in consent.requested_scopes]
    only_owner = {"granted_scopes": consent.granted_scopes} if is_owner else {}
    return ConsentOut(
        id=consent.id,
        status=consent.status_at(clock.now()),
        agent=ConsentAgentOut(**_agent_facts(consent)),
        requested_scopes=[ScopeOut.model_validate(scope) for scope in scopes],
        redirect_uri=consent.redirect_uri,
        reason=consent.reason,
        expires_at=consent.expires_at,
        **only_owner,
    )


def show_consents(consents: Sequence[Consent]) -> list[ConnectedConsentOut]:
    """Return a person's own consents. When each was last used is read from the log."""
    now, used = clock.now(), last_uses_of(consents)
    return [
        ConnectedConsentOut(
            id=consent.id,
            status=consent.status_at(now),
            agent=ConnectedAgentOut(id=consent.agent.id, **_agent_facts(consent)),
            granted_scopes=consent.granted_scopes,
            created_at=consent.created_at,
            decided_at=consent.decided_at,
            last_used_at=used.get(consent.id),
            expires_at=consent.expires_at,
        )
        for consent in consents
    ]


def _agent_facts(consent: Consent) -> dict[str, Any]:
    """Return who asks. A client that registered itself has no developer.

    In place of a name stands the host that publishes its metadata, or else the one it returns to in this request.
    """
    agent, organization = consent.agent, consent.agent.organization
    name = organization.name if organization else document_host(agent) or destination(consent.redirect_uri)
    verified = organization.is_verified if organization else False
    developer = ConsentDeveloperOut(name=name, verified=verified)
    return {"name": agent.name, "description": agent.description, "developer": developer}
