"""An OAuth client that calls the endpoints over HTTP."""

import re
import secrets
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from django.http import HttpResponse, QueryDict
from django.test import Client

from accounts.models import User
from agents.models import Agent
from agents.services import register_agent
from consent.connections import Choice
from consent.granting import approve_consent
from core import clock
from developers.models import Developer
from oauth.authorization import find_redirect_target, make_consent
from oauth.parameters import Parameters
from resources.custom_scopes import ScopeDefinition
from resources.services import RegisteredResourceServer
from tests.constants import CALLBACK, basic, challenge_for
from tests.world import ANONYMOUS, SERVICE_SCOPES, as_user, sign_in

ISSUER = "http://localhost:8000/oauth"
TICKETS = ScopeDefinition("tickets:read", "low", "Read your tickets", "See tickets", "close tickets")
FORM = "application/x-www-form-urlencoded"


def make_client(developer: Developer, **fields: Any) -> "OAuthClient":
    """Return a confidential client of the developer's organization."""
    fields = {"name": "SmartMail", "redirect_uris": [CALLBACK], "allowed_scopes": SERVICE_SCOPES, **fields}
    registered = register_agent(actor=ANONYMOUS, organization=developer.organization, **fields)
    return OAuthClient(registered.agent, registered.client_secret)


def make_public_client(developer: Developer, **fields: Any) -> "OAuthClient":
    client = make_client(developer, **fields)
    changes = {"client_type": Agent.CLIENT_PUBLIC, "token_endpoint_auth_method": Agent.AuthMethod.NONE}
    Agent.objects.filter(pk=client.agent.pk).update(**changes)
    client.agent.secrets.all().delete()
    return OAuthClient(Agent.objects.get(pk=client.agent.pk), "")


def query_of(response: HttpResponse) -> dict[str, str]:
    """Return the query parameters of the redirect to the client, or of the link on the page that takes its place.

    Checks that each appears once.
    """
    return query_in(response["Location"] if "Location" in response else link_on(response))


def link_on(response: HttpResponse) -> str:
    """Return the only link to the client on the page."""
    (link,) = re.findall(r'href="([^"]*;iss=[^"]*)"', response.content.decode())
    return unescape(link)


def query_in(url: str) -> dict[str, str]:
    values = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert all(len(value) == 1 for value in values.values())
    return {name: value[0] for name, value in values.items()}


class OAuthClient:
    """A client with its credential and one method per request. A parameter with the value None is left out."""

    def __init__(self, agent: Agent, secret: str) -> None:
        self.agent = agent
        self.secret = secret
        self.verifier = secrets.token_urlsafe(48)
        self.http = Client()

    @property
    def authorization(self) -> str:
        return basic(self.agent.client_id, self.secret)

    def parameters(self, **changes: Any) -> dict[str, Any]:
        parameters = {
            "response_type": "code",
            "client_id": self.agent.client_id,
            "redirect_uri": self.agent.redirect_uri_list[0],
            "scope": "email:read",
            "state": "st4te",
            "code_challenge": challenge_for(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def authorize(self, browser: Client | None = None, **changes: Any) -> HttpResponse:
        """Open the authorization endpoint in a browser, by default without a session."""
        query = urlencode(self.parameters(**changes), doseq=True)
        return (browser or self.http).get(f"/oauth/authorize?{query}")

    def decide(self, user: User, decision: str = "allow", **changes: Any) -> HttpResponse:
        """Decide on the consent page, and return the redirect to the client."""
        browser = sign_in(user)
        asked = self.authorize(browser, **changes)
        assert asked.status_code == 303, asked.content
        page = browser.get(asked["Location"])
        assert page.status_code == 200, (page.status_code, asked["Location"])
        scopes = page.context["consent"].requested_scopes
        return browser.post(asked["Location"], {"decision": decision, "scopes": scopes})

    def code(self, user: User, **changes: Any) -> str:
        """Return a code that the user has granted, without a browser."""
        query = QueryDict(urlencode(self.parameters(**changes), doseq=True))
        target = find_redirect_target(Parameters(query), ANONYMOUS)
        consent = make_consent(target, Parameters(query), ANONYMOUS)
        choice, now = Choice(scopes=consent.requested_scopes), clock.now()
        approval = approve_consent(actor=as_user(user), consent=consent, user=user, choice=choice, signed_in_at=now)
        return approval.code

    def token(self, authorization: str | None = None, **form: Any) -> HttpResponse:
        """Post to the token endpoint, by default with HTTP Basic if the client has a secret."""
        return self.post("/oauth/token", authorization, **form)

    def post(self, path: str, authorization: str | None = None, **form: Any) -> HttpResponse:
        given = {name: value for name, value in form.items() if value is not None}
        if authorization is None and self.secret:
            authorization = self.authorization
        if not self.secret:
            given.setdefault("client_id", self.agent.client_id)
        headers = {"Authorization": authorization} if authorization else {}
        return self.http.post(path, urlencode(given, doseq=True), content_type=FORM, headers=headers)

    def redeem(self, code: str, **changes: Any) -> HttpResponse:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.agent.redirect_uri_list[0],
            "code_verifier": self.verifier,
            **changes,
        }
        return self.token(**form)

    def tokens(self, user: User, **changes: Any) -> dict[str, Any]:
        answer = self.redeem(self.code(user, **changes))
        assert answer.status_code == 200, answer.content
        return answer.json()

    def refresh(self, refresh_token: str, **form: Any) -> HttpResponse:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **form)


def error_of(response: HttpResponse) -> str:
    """Return the error code of a JSON response after checking that it must not be cached."""
    assert response["Cache-Control"] == "no-store"
    return str(response.json()["error"])


def introspect(server: RegisteredResourceServer, token: str) -> dict[str, Any]:
    answer = Client().post(
        "/oauth/introspect",
        urlencode({"token": token}),
        content_type=FORM,
        headers={"Authorization": basic(server.server.id, server.secret)},
    )
    assert answer.status_code == 200, answer.content
    return answer.json()


def parameters_in(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query)
