"""The authorization endpoint and the consent page behind it."""

import re
from html import unescape
from typing import Any, ClassVar

from django.test import Client

from accounts.models import User
from agents.services import stop_agent
from consent.models import Consent
from consent.services import revoke_consent
from developers.models import Organization
from tests.constants import CALLBACK
from tests.oauth.client import ISSUER, OAuthClient, introspect, query_of
from tests.shared import cases

CONSENT_PAGE = re.compile(r"/consent/cns_[0-9a-f]{44}")


def is_error_page_without_redirect(response: Any) -> bool:
    return response.status_code == 400 and "Location" not in response and "text/html" in response["Content-Type"]


def refusal(world: Any, response: Any) -> dict[str, str]:
    """Return the error parameters of the link back, or of the redirect. They always include state and issuer."""
    answer = query_of(response)
    assert (answer["state"], answer["iss"]) == ("st4te", ISSUER)
    assert "code" not in answer
    return answer


def test_an_unregistered_redirect_uri_shows_an_error_page(client: OAuthClient) -> None:
    assert is_error_page_without_redirect(client.authorize(redirect_uri="https://evil.example/callback"))


@cases(
    "uri",
    [
        "https://smartmail.example/callback?next=1",
        "https://smartmail.example/callback/more",
        "https://user@smartmail.example/callback",
        "https://smartmail.example/callback#part",
        "https://smartmail.example:444/callback",
        "HTTPS://smartmail.example/callback",
    ],
)
def test_a_redirect_uri_must_match_exactly(client: OAuthClient, uri: str) -> None:
    assert is_error_page_without_redirect(client.authorize(redirect_uri=uri))


@cases("uri", ["http://127.0.0.1:51234/callback", "http://127.0.0.1/callback"])
def test_a_loopback_address_may_have_any_port(public: OAuthClient, uri: str) -> None:
    assert CONSENT_PAGE.fullmatch(public.authorize(redirect_uri=uri)["Location"])


def test_localhost_is_not_127_0_0_1(public: OAuthClient) -> None:
    assert is_error_page_without_redirect(public.authorize(redirect_uri="http://localhost/callback"))


def test_an_unknown_client_is_refused_before_sign_in(client: OAuthClient) -> None:
    assert is_error_page_without_redirect(client.authorize(client_id="agc_unknown"))


def test_a_missing_challenge_is_invalid_request(client: OAuthClient, world: Any) -> None:
    response = client.authorize(code_challenge=None, code_challenge_method=None)
    assert refusal(world, response)["error"] == "invalid_request"


@cases("method", ["plain", None, "s256"])
def test_only_s256_is_accepted(client: OAuthClient, world: Any, method: str | None) -> None:
    assert refusal(world, client.authorize(code_challenge_method=method))["error"] == "invalid_request"


@cases("challenge", ["short", "a" * 42, "a" * 44, "a" * 42 + "+", "a" * 42 + "="])
def test_a_challenge_is_43_characters_of_base64url(client: OAuthClient, world: Any, challenge: str) -> None:
    assert refusal(world, client.authorize(code_challenge=challenge))["error"] == "invalid_request"


def test_a_repeated_parameter_is_invalid_request(client: OAuthClient, world: Any) -> None:
    assert refusal(world, client.authorize(scope=["email:read", "email:send"]))["error"] == "invalid_request"


@cases("name", ["client_id", "redirect_uri"])
def test_a_repeated_client_id_or_redirect_uri_shows_an_error_page(client: OAuthClient, name: str) -> None:
    value = client.parameters()[name]
    assert is_error_page_without_redirect(client.authorize(**{name: [value, value]}))


def test_a_repeated_state_is_an_error_without_state(client: OAuthClient, world: Any) -> None:
    answer = query_of(client.authorize(state=["one", "two"]))
    assert (answer["error"], answer.get("state"), answer["iss"]) == ("invalid_request", None, ISSUER)


def test_an_empty_scope_counts_as_omitted(client: OAuthClient, ada: User) -> None:
    empty, omitted = client.tokens(ada, scope=""), client.tokens(ada, scope=None)
    assert empty["scope"] == omitted["scope"] == " ".join(client.agent.allowed_scopes)


def test_an_unknown_parameter_is_ignored(client: OAuthClient) -> None:
    assert CONSENT_PAGE.fullmatch(client.authorize(favourite_color="blue", nonce="n")["Location"])


def test_response_type_token_is_unsupported(client: OAuthClient, world: Any) -> None:
    assert refusal(world, client.authorize(response_type="token"))["error"] == "unsupported_response_type"


def test_a_missing_response_type_is_invalid_request(client: OAuthClient, world: Any) -> None:
    assert refusal(world, client.authorize(response_type=None))["error"] == "invalid_request"


def test_a_scope_that_does_not_exist_suggests_the_nearest(client: OAuthClient, world: Any) -> None:
    description = refusal(world, client.authorize(scope="email:raed"))["error_description"]
    assert description == "The scope 'email:raed' does not exist. Did you mean 'email:read'?"


@cases("scope", ["no:such", "payments:charge", "openid", "email:read openid"])
def test_an_unavailable_scope_is_invalid_scope(client: OAuthClient, world: Any, scope: str) -> None:
    assert refusal(world, client.authorize(scope=scope))["error"] == "invalid_scope"


def test_offline_access_is_accepted_and_ignored(client: OAuthClient, ada: User) -> None:
    assert client.tokens(ada, scope="email:read offline_access", prompt="consent")["scope"] == "email:read"


def test_a_denial_returns_state_and_iss(client: OAuthClient, world: Any, ada: User) -> None:
    assert refusal(world, client.decide(ada, decision="deny"))["error"] == "access_denied"


def test_an_approval_returns_code_state_and_the_issuer_of_the_metadata(
    client: OAuthClient, world: Any, ada: User
) -> None:
    answer = query_of(client.decide(ada))
    metadata = Client().get("/.well-known/oauth-authorization-server/oauth").json()
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("st4te", metadata["issuer"])
    assert client.redeem(answer["code"]).status_code == 200


@cases("is_signed_in", [False, True])
@cases("is_verified", [False, True])
def test_prompt_none_is_login_required_for_everyone(
    client: OAuthClient, world: Any, ada: User, is_signed_in: bool, is_verified: bool
) -> None:
    Organization.objects.update(is_verified=is_verified)
    browser = world.sign_in(ada) if is_signed_in else Client()
    answer = client.authorize(browser, prompt="none")
    assert answer.status_code == (303 if is_verified else 400)
    assert refusal(world, answer)["error"] == "login_required"


class TestNoOpenRedirect:
    """A link to our address does not lead to the website of anyone who registers a client (RFC 9700 section 4.11.2)."""

    WRONG: ClassVar[list[dict[str, Any]]] = [
        {"scope": "no:such"},
        {"prompt": "none"},
        {"response_type": "token"},
        {"code_challenge": None},
        {"resource": "https://unknown.example"},
        {"scope": ["email:read", "email:send"]},
        {"state": "x" * 9000},
    ]

    @cases("wrong", WRONG)
    def test_a_client_that_is_not_verified_gets_no_redirect(
        self, client: OAuthClient, world: Any, ada: User, wrong: dict[str, Any]
    ) -> None:
        for browser in (Client(), world.sign_in(ada)):
            page = client.authorize(browser, **wrong)
            assert is_error_page_without_redirect(page)
            assert page.content.decode().count("smartmail.example</bdi>") == 2
            assert query_of(page)["iss"] == ISSUER

    def test_a_stock_client_gets_no_redirect(self, register: Any) -> None:
        assert is_error_page_without_redirect(register(redirect_uris=[CALLBACK]).authorize(scope="no:such"))

    def test_nothing_of_the_request_is_quoted_on_the_page(self, client: OAuthClient) -> None:
        """Only the address has it, which the client would get anyway."""
        text = unescape(client.authorize(scope="call:0800-555-0100").content.decode())
        assert "invalid_scope" in text
        assert re.sub(r'href="[^"]*"', "", text).count("0800") == 0

    @cases("wrong", WRONG)
    def test_a_verified_organization_gets_the_redirect(
        self, client: OAuthClient, world: Any, wrong: dict[str, Any]
    ) -> None:
        Organization.objects.update(is_verified=True)
        answer = client.authorize(**wrong)
        assert (answer.status_code, query_of(answer)["iss"]) == (303, ISSUER)

    def test_a_verified_organization_gets_no_redirect_to_an_unregistered_address(self, client: OAuthClient) -> None:
        Organization.objects.update(is_verified=True)
        elsewhere = "https://evil.example/callback"
        assert is_error_page_without_redirect(client.authorize(redirect_uri=elsewhere))
        assert is_error_page_without_redirect(client.authorize(redirect_uri=elsewhere, scope="no:such"))

    def test_a_connected_agent_gets_the_redirect_for_its_user_only(
        self, client: OAuthClient, world: Any, ada: User, bob: User
    ) -> None:
        client.tokens(ada)
        assert client.authorize(world.sign_in(ada), scope="no:such").status_code == 303
        assert is_error_page_without_redirect(client.authorize(world.sign_in(bob), scope="no:such"))
        assert is_error_page_without_redirect(client.authorize(Client(), scope="no:such"))

    def test_a_stopped_agent_gets_no_redirect(self, client: OAuthClient, world: Any, ada: User) -> None:
        Organization.objects.update(is_verified=True)
        client.tokens(ada)
        stop_agent(actor=world.ANONYMOUS, agent=client.agent, reason="phishing")
        assert is_error_page_without_redirect(client.authorize(world.sign_in(ada)))

    def test_a_revoked_agent_gets_no_redirect_any_more(self, client: OAuthClient, world: Any, ada: User) -> None:
        client.tokens(ada)
        revoke_consent(actor=world.ANONYMOUS, consent=Consent.objects.get(user=ada))
        assert is_error_page_without_redirect(client.authorize(world.sign_in(ada), scope="no:such"))

    @cases("uri", ["http://127.0.0.1:51234/callback", "http://localhost/callback", "com.example.app:/done"])
    def test_a_program_on_the_device_gets_the_redirect(self, register: Any, uri: str) -> None:
        answer = register(redirect_uris=[uri]).authorize(scope="no:such")
        assert answer.status_code == 303
        assert answer["Location"].startswith(f"{uri}?error=invalid_scope&")


def test_the_consent_page_cannot_be_framed_or_cached(client: OAuthClient, world: Any, ada: User) -> None:
    browser = world.sign_in(ada)
    page = browser.get(client.authorize(browser)["Location"])
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"
    assert "no-store" in page["Cache-Control"]


def test_a_decision_without_a_csrf_token_is_refused(client: OAuthClient, ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    location = client.authorize(strict)["Location"]
    assert strict.post(location, {"decision": "allow", "scopes": ["email:read"]}).status_code == 403
    assert strict.post("/oauth/authorize", client.parameters()).status_code == 403


def test_a_decision_redirects_with_get(client: OAuthClient, ada: User) -> None:
    assert client.decide(ada).status_code in (302, 303)


def test_a_scope_that_was_never_requested_is_refused(client: OAuthClient, world: Any, ada: User) -> None:
    browser = world.sign_in(ada)
    location = client.authorize(browser)["Location"]
    response = browser.post(location, {"decision": "allow", "scopes": ["email:read", "email:send"]})
    assert response.status_code == 400
    assert "Location" not in response


def test_other_origins_cannot_read_the_authorization_endpoint(client: OAuthClient) -> None:
    for response in (client.authorize(), client.authorize(client_id="agc_unknown")):
        assert not [name for name in response.headers if name.lower().startswith("access-control-")]


def test_more_than_twenty_resources_are_refused_without_looking_each_up(
    client: OAuthClient, world: Any, service: Any, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12):
        answer = client.authorize(resource=[f"https://{number}.example/api" for number in range(200)])
    assert refusal(world, answer)["error"] == "invalid_target"


@cases("resource", ["https://unknown.example/api", "not a uri", "https://mail.example/api#f"])
def test_an_unknown_or_malformed_resource_is_invalid_target(
    client: OAuthClient, world: Any, service: Any, resource: str
) -> None:
    assert refusal(world, client.authorize(resource=resource))["error"] == "invalid_target"


@cases(
    ("registered", "asked", "is_good"),
    [
        ("https://one.example", "https://one.example/", True),
        ("https://one.example/", "https://one.example", True),
        ("https://one.example/api", "https://one.example/api/", False),
        ("https://one.example/api/", "https://one.example/api", False),
        ("https://one.example/api", "https://one.example/API", False),
        ("https://one.example", "https://one.example//", False),
        ("https://one.example/api", "HTTPS://One.Example.:443/api", True),
        ("https://ONE.example:443/", "https://one.example", True),
        ("https://one.example/api", "https://one.example:8443/api", False),
    ],
)
def test_a_resource_is_found_in_equivalent_spellings(
    client: OAuthClient, world: Any, developer: Any, registered: str, asked: str, is_good: bool
) -> None:
    world.make_resource_server(developer, registered)
    answer = client.authorize(resource=asked)
    assert bool(CONSENT_PAGE.fullmatch(answer.get("Location", ""))) is is_good


def test_api_url_is_the_default_audience(client: OAuthClient, ada: User, service: Any, world: Any) -> None:
    token = client.tokens(ada, resource="http://localhost:8000/")["access_token"]
    assert introspect(service, token)["aud"] == "http://localhost:8000"
