"""Asking for consent, showing the request, deciding it."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import EmailUnverified
from agents.errors import AgentSuspended, InvalidClient, InvalidRedirectUri, StockClientUnproved, UnknownClient
from agents.models import Agent
from agents.selectors import agent_for_client_id
from api.authentication import BrowserCredential
from api.clients import BASIC_CHALLENGE, CredentialsTwice, client_of, is_secret_presented
from api.endpoint import Endpoint, OptionalCredentialEndpoint, PersonEndpoint
from api.operations import operation
from api.v1.schemas.tokens import ClientBody
from api.v1.shapes.consent import (
    ApproveBody,
    ApprovedConsent,
    DeniedConsent,
    EmptyBody,
    InitiateBody,
    PendingConsent,
    show_consent,
)
from api.v1.shapes.consent import Consent as ShownConsent
from consent.approval import approve_consent, deny_consent
from consent.connections import Choice
from consent.errors import ConsentAlreadyDecided, ConsentExpired, OtherBrowser
from consent.models import Consent
from consent.redirects import denial_url
from consent.selectors import consent_to_decide, visible_consent
from consent.services import ConsentRequest, request_consent, require_same_browser
from consent.throttles import throttle_request
from core.browser import browser_digest
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
        body=InitiateBody,
        answer=PendingConsent,
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
    def post(self, request: Request) -> Answer:
        body = self.read(InitiateBody)
        throttle_request(self.actor)
        agent = self._client(body)

        def work() -> Answer:
            consent = request_consent(actor=self.actor, agent=agent, request=_consent_request(body))
            return Answer(201, _show_pending(consent))

        return self.answer_once(self.actor.id or self.actor.ip or "", work)

    def _client(self, body: dict[str, Any]) -> Agent:
        """Return the agent. One that a developer registered may leave out its credentials.

        Raises `StockClientUnproved`: a link is not bound to a browser, and its sender chooses the state and challenge.
        """
        client = ClientBody.model_validate({name: body[name] for name in ("clientId", "clientSecret") if name in body})
        if is_secret_presented(self.request, client):
            agent = client_of(self.request, client, self.actor)
            self.actor = self.actor.acting_as("agent", agent.id)
            return agent
        found = agent_for_client_id(body["clientId"])
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
        answer=ShownConsent,
    )
    def get(self, request: Request, consent_id: str) -> Response:
        organization_id = self.developer.organization_id if self.developer else None
        consent = visible_consent(consent_id, user=self.person, organization_id=organization_id)
        is_owner = self.person is not None and self.person.id == consent.user_id
        return Response(show_consent(consent, is_owner=is_owner))


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
        body=ApproveBody,
        answer=ApprovedConsent,
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
    def post(self, request: Request, consent_id: str) -> Answer:
        body = self.read(ApproveBody)
        consent = self.consent(consent_id)

        def work() -> Answer:
            choice = Choice(scopes=body.get("scopes"))
            approval = approve_consent(actor=self.actor, consent=consent, user=self.person, choice=choice)
            shown = {
                "status": approval.consent.status,
                "code": approval.code,
                "redirectUrl": approval.redirect_url,
                "grantedScopes": approval.consent.granted_scopes,
            }
            return Answer(200, shown)

        return self.answer_once(self.person.id, work)


class Deny(Decision):
    @operation(
        "denyConsent",
        "Refuse what was asked",
        body=EmptyBody,
        answer=DeniedConsent,
        errors=(ConsentAlreadyDecided, ConsentExpired, OtherBrowser, InvalidRedirectUri),
    )
    def post(self, request: Request, consent_id: str) -> Response:
        self.read(EmptyBody)
        consent = self.consent(consent_id)
        denied = deny_consent(actor=self.actor, consent=consent, user=self.person)
        return Response({"status": denied.status, "redirectUrl": denial_url(denied)})


def _consent_request(body: dict[str, Any]) -> ConsentRequest:
    return ConsentRequest(
        scopes=body["requestedScopes"],
        optional_scopes=body["optionalScopes"],
        redirect_uri=body["redirectUri"],
        user_id=body["userId"],
        state=body["state"],
        code_challenge=body.get("codeChallenge", ""),
        resource=body["resource"],
        reason=body["reason"],
    )


def _show_pending(consent: Consent) -> Any:
    shown = {
        "consentId": consent.id,
        "consentUrl": f"{settings.API_URL}/consent/{consent.id}",
        "status": consent.status,
        "expiresAt": consent.expires_at,
    }
    return PendingConsent(shown).data
