"""Consent requests: create, get, approve and deny them."""

from django.conf import settings

from accounts.errors import EmailUnverified, ReauthenticationRequired
from agents.errors import (
    AgentSuspended,
    EverythingStopped,
    InvalidClient,
    InvalidRedirectUri,
    StockClientUnauthenticated,
    UnknownClient,
)
from agents.models import Agent
from agents.selectors import agent_for_client_id
from api.authentication import BrowserCredential
from api.clients import DuplicateClientCredentials, client_of, has_client_secret
from api.endpoint import Endpoint, OptionalCredentialEndpoint, UserEndpoint
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
    show_granted_details,
)
from consent.errors import ConsentAlreadyDecided, ConsentExpired, InvalidAuthorizationDetails, OtherBrowser
from consent.granting import approve_consent, deny_consent
from consent.models import Consent
from consent.redirects import denial_url
from consent.selectors import consent_to_decide, visible_consent
from consent.services import request_consent, require_same_browser, throttle_request
from core.browser import browser_digest
from core.http import BASIC_CHALLENGE
from core.idempotency import Answer
from developers.errors import OrganizationStopped, OrganizationSuspended
from resources.errors import InvalidScope, InvalidTarget, ServiceSuspended


class Initiate(Endpoint):
    challenge = BASIC_CHALLENGE

    @operation(
        "initiateConsent",
        "Ask a user for consent",
        description="Creates a pending request that expires after ten minutes. If `userId` is given, only that user "
        "can decide it; the response does not reveal whether the user exists. An agent that a developer registered can "
        "omit its credentials; the consent screen then attributes `reason` to the sender of the link. A client that "
        "registered itself must authenticate; a public one has no credentials and starts at `/oauth/authorize`. "
        "`consentUrl` opens in any browser. With `authorizationDetails` (RFC 9396), the user picks among the "
        "identifiers, and verify allows a scope in `actions` only if `context.target` is one of those picked.",
        answer=PendingConsentOut,
        status=201,
        errors=(
            UnknownClient,
            StockClientUnauthenticated,
            InvalidClient,
            InvalidRedirectUri,
            InvalidScope,
            InvalidTarget,
            InvalidAuthorizationDetails,
            AgentSuspended,
            EverythingStopped,
            OrganizationSuspended,
            OrganizationStopped,
            ServiceSuspended,
            DuplicateClientCredentials,
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
            consent = request_consent(actor=self.actor, agent=agent, request=body.consent_request())
            return _show_pending(consent)

        return self.answer_once(self.actor.id or self.actor.ip or "", work)

    def _client(self, body: InitiateBody) -> Agent:
        """Return the agent. If a developer registered it, it can omit its credentials.

        Raises `StockClientUnauthenticated` for other clients without credentials: a link is not bound to a browser, and
        its sender chooses the state and the challenge.
        """
        if has_client_secret(self.request.headers, body):
            agent = client_of(self.request.headers, body, self.actor)
            self.actor = self.actor.acting_as("agent", agent.id)
            return agent
        found = agent_for_client_id(body.client_id)
        if found is None:
            raise UnknownClient("No client has this clientId.")
        if found.is_stock:
            raise StockClientUnauthenticated(
                "Send the client secret. A client without one must start at /oauth/authorize."
            )
        return found


class OneConsent(OptionalCredentialEndpoint):
    @operation(
        "getConsent",
        "Get a consent request",
        description="Anyone with the id can read it until it is decided. After that, it is a 404 for everyone except "
        "its owner and the agent's organization.",
        answer=ConsentOut,
    )
    def get(self, consent_id: str) -> ConsentOut:
        organization_id = self.access.organization_id if self.access else None
        with self.within_reach():
            consent = visible_consent(consent_id, user=self.user, organization_id=organization_id)
        if self.access:
            self.access.require_agent(consent.agent_id)
        is_owner = self.user is not None and self.user.id == consent.user_id
        return show_consent(consent, is_owner=is_owner)


class DecideConsent(UserEndpoint):
    def consent(self, consent_id: str) -> Consent:
        """Return the consent to decide. Raises `OtherBrowser` if the request was opened in another browser."""
        consent = consent_to_decide(self.user, consent_id)
        if isinstance(self.request.auth, BrowserCredential):
            require_same_browser(consent, browser_digest(self.request._request))
        return consent


class Approve(DecideConsent):
    @operation(
        "approveConsent",
        "Approve a consent request, or a part of it",
        description="The code works once, within 60 seconds. Send the user to `redirectUrl`. A user has one live "
        "consent per agent, regardless of the services it covers: approving a later request replaces the earlier "
        "consent (its status becomes `replaced`) and moves its tokens to the new one. `scopes` can contain requested "
        "and currently live scopes; the default is all requested scopes. Live scopes that the request does not mention "
        "are kept. Requested scopes that are left out are removed immediately, even if they were live. The code's "
        "tokens have the scopes that were both requested and granted. `modes`, `limits` and `guards` bound the granted "
        "scopes; live scopes keep theirs unless they are named. `targets` are picks among the requested authorization "
        "details, by default all of them. A scope that a detail bounds needs at least one pick, or must be left out. "
        "Live scopes that the details do not bound keep their targets. Granting a critical scope requires a sign-in "
        "within the last five minutes. So does bounding one less, for example by a looser guard or a later end.",
        answer=ApprovedConsentOut,
        errors=(
            InvalidScope,
            InvalidTarget,
            ConsentAlreadyDecided,
            ConsentExpired,
            OtherBrowser,
            InvalidRedirectUri,
            AgentSuspended,
            EverythingStopped,
            OrganizationSuspended,
            OrganizationStopped,
            ServiceSuspended,
            EmailUnverified,
            ReauthenticationRequired,
        ),
        repeatable=True,
    )
    def post(self, consent_id: str, body: ApproveBody) -> Answer:
        consent = self.consent(consent_id)

        def work() -> ApprovedConsentOut:
            approval = approve_consent(
                actor=self.actor,
                consent=consent,
                user=self.user,
                choice=body.choice(),
                signed_in_at=self.signed_in_at,
            )
            return ApprovedConsentOut(
                status="approved",
                code=approval.code,
                redirect_url=approval.redirect_url,
                granted_scopes=approval.consent.granted_scopes,
                **show_granted_details(approval.consent),
            )

        return self.answer_once(self.user.id, work)


class Deny(DecideConsent):
    @operation(
        "denyConsent",
        "Deny a consent request",
        answer=DeniedConsentOut,
        errors=(ConsentAlreadyDecided, ConsentExpired, OtherBrowser, InvalidRedirectUri),
    )
    def post(self, consent_id: str, body: EmptyBody) -> DeniedConsentOut:
        consent = self.consent(consent_id)
        denied = deny_consent(actor=self.actor, consent=consent, user=self.user)
        return DeniedConsentOut(status="denied", redirect_url=denial_url(denied))


def _show_pending(consent: Consent) -> PendingConsentOut:
    return PendingConsentOut(
        consent_id=consent.id,
        consent_url=f"{settings.API_URL}/consent/{consent.id}",
        status="pending",
        expires_at=consent.expires_at,
    )
