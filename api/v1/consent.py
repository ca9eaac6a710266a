"""Asking for consent, showing the request, deciding it."""

from django.conf import settings

from accounts.errors import EmailUnverified
from agents.errors import AgentSuspended, InvalidClient, InvalidRedirectUri, StockClientUnproved, UnknownClient
from agents.models import Agent
from agents.selectors import agent_for_client_id
from api.authentication import BrowserCredential
from api.clients import CredentialsTwice, client_of, is_secret_presented
from api.endpoint import Endpoint, OptionalCredentialEndpoint, PersonEndpoint
from api.operations import operation
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.consent import (
    ApproveBody,
    ApprovedConsentOut,
    ConsentOut,
    DeniedConsentOut,
    InitiateBody,
    PendingConsentOut,
    show_consent,
)
from consent.approval import approve_consent, deny_consent
from consent.connections import Choice
from consent.errors import ConsentAlreadyDecided, ConsentExpired, OtherBrowser
from consent.models import Consent
from consent.redirects import denial_url
from consent.selectors import consent_to_decide, visible_consent
from consent.services import ConsentRequest, request_consent, require_same_browser
from consent.throttles import throttle_request
from core.browser import browser_digest
from core.http import BASIC_CHALLENGE
from core.idempotency import Answer
from developers.errors import OrganizationSuspended
from resources.errors import InvalidScope, InvalidTarget, ServiceSuspended


class Initiate(Endpoint):
    challenge = BASIC_CHALLENGE

    @operation(
        "initiateConsent",
        "Ask a person for consent",
        description="Makes a pending request that lives ten minutes, and says nothing about who exists: `userId` is a "
        "hint, after which only that person can decide. An agent that a developer registered may leave out its "
        "credentials; the screen then attributes `reason` to the sender of the link. A client that registered itself "
        "must authenticate; a public one has no credentials and starts at `/oauth/authorize`. `consentUrl` opens in "
        "any browser.",
        answer=PendingConsentOut,
        status=201,
        errors=(
            UnknownClient,
            StockClientUnproved,
            InvalidClient,
            InvalidRedirectUri,
            InvalidScope,
            InvalidTarget,
            AgentSuspended,
            OrganizationSuspended,
            ServiceSuspended,
            CredentialsTwice,
        ),
        repeatable=True,
        request_example={
            "clientId": "agc_...",
            "requestedScopes": ["email:read"],
            "redirectUri": "https://agent.example/callback",
            "state": "af0ifjsldkj",
        },
    )
    def post(self, body: InitiateBody) -> Answer:
        throttle_request(self.actor)
        agent = self._client(body)

        def work() -> PendingConsentOut:
            consent = request_consent(actor=self.actor, agent=agent, request=_consent_request(body))
            return _show_pending(consent)

        return self.answer_once(self.actor.id or self.actor.ip or "", work)

    def _client(self, body: InitiateBody) -> Agent:
        """Return the agent. One that a developer registered may leave out its credentials.

        Raises `StockClientUnproved`: a link is not bound to a browser, and its sender chooses the state and challenge.
        """
        if is_secret_presented(self.request, body):
            agent = client_of(self.request, body, self.actor)
            self.actor = self.actor.acting_as("agent", agent.id)
            return agent
        found = agent_for_client_id(body.client_id)
        if found is None:
            raise UnknownClient("Check the client id.")
        if found.is_stock:
            raise StockClientUnproved("Send the client secret. A client without one must start at /oauth/authorize.")
        return found


class OneConsent(OptionalCredentialEndpoint):
    @operation(
        "getConsent",
        "Show a request for consent",
        description="While it is undecided its id is enough. Once decided it is absent to all but its owner and the "
        "agent's organization.",
        answer=ConsentOut,
    )
    def get(self, consent_id: str) -> ConsentOut:
        organization_id = self.developer.organization_id if self.developer else None
        consent = visible_consent(consent_id, user=self.person, organization_id=organization_id)
        is_owner = self.person is not None and self.person.id == consent.user_id
        return show_consent(consent, is_owner=is_owner)


class Decision(PersonEndpoint):
    def consent(self, consent_id: str) -> Consent:
        """Return the consent to decide. Raises `OtherBrowser` for a browser's session in the wrong browser."""
        consent = consent_to_decide(self.person, consent_id)
        if isinstance(self.request.auth, BrowserCredential):
            require_same_browser(consent, browser_digest(self.request._request))
        return consent


class Approve(Decision):
    @operation(
        "approveConsent",
        "Grant what was asked, or a part of it",
        description="The code lives 60 seconds and works once. Send the person to `redirectUrl`. A person has one live "
        "consent per agent, whichever services it names: approving a later request replaces the earlier consent (its "
        "status becomes `replaced`) and moves its tokens to this one. `scopes` may name requested and currently live "
        "scopes; the default is all requested ones. Live scopes that the request does not mention stay; requested ones "
        "that are left out go at once, even where they were live. The code yields what was requested and granted.",
        answer=ApprovedConsentOut,
        errors=(
            InvalidScope,
            InvalidTarget,
            ConsentAlreadyDecided,
            ConsentExpired,
            OtherBrowser,
            InvalidRedirectUri,
            AgentSuspended,
            OrganizationSuspended,
            ServiceSuspended,
            EmailUnverified,
        ),
        repeatable=True,
    )
    def post(self, consent_id: str, body: ApproveBody) -> Answer:
        consent = self.consent(consent_id)

        def work() -> ApprovedConsentOut:
            choice = Choice(scopes=body.scopes)
            approval = approve_consent(actor=self.actor, consent=consent, user=self.person, choice=choice)
            return ApprovedConsentOut(
                status="approved",
                code=approval.code,
                redirect_url=approval.redirect_url,
                granted_scopes=approval.consent.granted_scopes,
            )

        return self.answer_once(self.person.id, work)


class Deny(Decision):
    @operation(
        "denyConsent",
        "Refuse what was asked",
        answer=DeniedConsentOut,
        errors=(ConsentAlreadyDecided, ConsentExpired, OtherBrowser, InvalidRedirectUri),
    )
    def post(self, consent_id: str, body: EmptyBody) -> DeniedConsentOut:
        consent = self.consent(consent_id)
        denied = deny_consent(actor=self.actor, consent=consent, user=self.person)
        return DeniedConsentOut(status="denied", redirect_url=denial_url(denied))


def _consent_request(body: InitiateBody) -> ConsentRequest:
    return ConsentRequest(
        scopes=body.requested_scopes,
        optional_scopes=body.optional_scopes,
        redirect_uri=body.redirect_uri,
        user_id=body.user_id,
        state=body.state,
        code_challenge=body.code_challenge or "",
        resource=body.resource,
        reason=body.reason,
    )


def _show_pending(consent: Consent) -> PendingConsentOut:
    return PendingConsentOut(
        consent_id=consent.id,
        consent_url=f"{settings.API_URL}/consent/{consent.id}",
        status="pending",
        expires_at=consent.expires_at,
    )
