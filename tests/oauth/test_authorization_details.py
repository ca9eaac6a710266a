"""Authorization details at the OAuth endpoints (RFC 9396)."""

import json
from typing import Any

import jwt
import pytest

from accounts.models import User
from consent.models import Consent
from developers.models import Developer
from resources.services import RegisteredResourceServer
from tests.oauth.client import OAuthClient, error_of, introspect, make_client, query_of
from tests.oauth.test_pushed_requests import push, visit
from tests.shared import cases
from tests.world import allow, ask, sign_in

Json = dict[str, Any]
MAIL = {"type": "account", "identifiers": ["ada@work.example", "ada@home.example"], "actions": ["email:read"]}
CALENDAR = {"type": "calendar", "identifiers": ["work"], "actions": ["calendar:freebusy"]}
SCOPE = "email:read calendar:freebusy"


def text(*details: Json) -> str:
    return json.dumps(details)


def picked(*identifiers: str) -> Json:
    return {**MAIL, "identifiers": list(identifiers)}


def granted(client: OAuthClient, user: User, *identifiers: str, **changes: Any) -> Json:
    """Return the token response after the user has picked these accounts, and the calendar."""
    browser = sign_in(user)
    asked = client.authorize(browser, **{"scope": SCOPE, "authorization_details": text(MAIL, CALENDAR), **changes})
    page = browser.get(asked["Location"])
    form = {"scopes": page.context["consent"].requested_scopes, "target-0": identifiers, "target-1": ["work"]}
    code = query_of(browser.post(asked["Location"], {"decision": "allow", **form}))["code"]
    answer = client.redeem(code)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def claims(tokens: Json) -> Json:
    return jwt.decode(tokens["access_token"], options={"verify_signature": False})


def test_section_7_the_token_response_has_what_the_user_granted(client: OAuthClient, ada: User) -> None:
    tokens = granted(client, ada, "ada@home.example")
    assert tokens["authorization_details"] == [picked("ada@home.example"), CALENDAR]


def test_section_9_1_the_access_token_has_what_the_user_granted(client: OAuthClient, ada: User) -> None:
    assert claims(granted(client, ada, "ada@work.example"))["authorization_details"] == [
        picked("ada@work.example"),
        CALENDAR,
    ]


def test_section_9_2_introspection_has_what_is_granted_now(
    client: OAuthClient, ada: User, service: RegisteredResourceServer
) -> None:
    tokens = granted(client, ada, "ada@work.example", "ada@home.example")
    answer = introspect(service, tokens["access_token"])
    assert answer["authorization_details"] == [MAIL, CALENDAR]
    narrower = ask(client.agent, scopes=["email:read"], authorization_details=[])
    allow(narrower, ada)
    assert introspect(service, tokens["access_token"])["authorization_details"] == [MAIL, CALENDAR]
    granted(client, ada, "ada@home.example")
    answer = introspect(service, tokens["access_token"])
    assert answer["authorization_details"] == [picked("ada@home.example"), CALENDAR]


def test_introspection_shows_only_the_details_of_the_tokens_scopes(
    client: OAuthClient, ada: User, service: RegisteredResourceServer
) -> None:
    granted(client, ada, "ada@work.example")
    other = client.tokens(ada, scope="email:send")
    assert "authorization_details" not in other
    answer = introspect(service, other["access_token"])
    assert answer["active"]
    assert "authorization_details" not in answer


def test_introspection_by_another_organization_shows_nothing(
    client: OAuthClient, ada: User, world: Any, rival: Developer
) -> None:
    theirs = world.make_resource_server(rival, "https://theirs.example/api")
    tokens = granted(client, ada, "ada@work.example")
    assert introspect(theirs, tokens["access_token"]) == {"active": False}


def test_a_refresh_has_the_details_as_they_are_now(client: OAuthClient, ada: User) -> None:
    tokens = granted(client, ada, "ada@work.example", "ada@home.example")
    refreshed = client.refresh(tokens["refresh_token"]).json()
    assert refreshed["authorization_details"] == claims(refreshed)["authorization_details"] == [MAIL, CALENDAR]
    granted(client, ada, "ada@home.example")
    refreshed = client.refresh(refreshed["refresh_token"]).json()
    assert refreshed["authorization_details"] == claims(refreshed)["authorization_details"]
    assert refreshed["authorization_details"] == [picked("ada@home.example"), CALENDAR]


def test_a_narrower_refresh_has_only_the_details_of_its_scopes(client: OAuthClient, ada: User) -> None:
    tokens = granted(client, ada, "ada@work.example")
    narrow = client.refresh(tokens["refresh_token"], scope="calendar:freebusy").json()
    assert narrow["authorization_details"] == claims(narrow)["authorization_details"] == [CALENDAR]


def test_a_client_that_uses_no_details_gets_none(client: OAuthClient, ada: User) -> None:
    tokens = client.tokens(ada)
    assert "authorization_details" not in {**tokens, **claims(tokens)}


@pytest.mark.parametrize("is_public", [False, True])
def test_a_pushed_request_can_have_details(
    is_public: bool, client: OAuthClient, public: OAuthClient, world: Any, ada: User
) -> None:
    client = public if is_public else client
    pushed = push(client, authorization_details=text(MAIL))
    assert pushed.status_code == 201, pushed.content
    browser = world.sign_in(ada)
    location = visit(client, browser, pushed.json()["request_uri"])["Location"]
    form = {"decision": "allow", "scopes": ["email:read"], "target-0": ["ada@work.example"]}
    code = query_of(browser.post(location, form))["code"]
    assert client.redeem(code).json()["authorization_details"] == [picked("ada@work.example")]


def test_section_3_without_scope_the_request_is_for_what_the_details_name(client: OAuthClient, ada: User) -> None:
    client.authorize(sign_in(ada), scope=None, authorization_details=text(MAIL, CALENDAR))
    assert Consent.objects.get().requested_scopes == ["email:read", "calendar:freebusy"]


def test_section_3_scope_and_details_are_requested_together(client: OAuthClient, ada: User) -> None:
    client.authorize(sign_in(ada), scope="email:read email:send", authorization_details=text(MAIL))
    consent = Consent.objects.get()
    assert (consent.requested_scopes, consent.authorization_details) == (["email:read", "email:send"], [MAIL])


def test_details_may_be_written_on_several_lines(client: OAuthClient, ada: User) -> None:
    client.authorize(sign_in(ada), authorization_details=json.dumps([MAIL], indent=2))
    assert Consent.objects.get().authorization_details == [MAIL]


WRONG = [
    "x",
    "[",
    "{}",
    "7",
    "null",
    "[7]",
    "[[]]",
    "[" * 8000,
    '[{"type": NaN}]',
    text({"identifiers": ["a"]}),  # a missing field
    text({"type": "account"}),
    text({**MAIL, "type": "payment_initiation"}),  # an unknown type
    text({**MAIL, "locations": ["https://mail.example/api"]}),  # an unknown field
    text({**MAIL, "identifiers": "a"}),  # a field of the wrong type
    text({**MAIL, "identifiers": [{"id": 7}]}),
    text({**MAIL, "identifiers": []}),  # an invalid value
    text({**MAIL, "identifiers": ["a\u202eb"]}),
    text({**MAIL, "identifiers": ["a\ud800"]}),
    text({**MAIL, "identifiers": ["a\0"]}),
    text({**MAIL, "actions": ["email:send"]}),  # not requested
    text(MAIL, {**CALENDAR, "actions": ["email:read"]}),  # bounded twice
    '[{"type": "account", "identifiers": ["a"], "identifiers": ["b"]}]',
]


@cases("wrong", WRONG)
def test_section_5_details_that_do_not_conform_are_refused(client: OAuthClient, ada: User, wrong: str) -> None:
    query = query_of(client.authorize(sign_in(ada), authorization_details=wrong))
    assert (query["error"], query["state"]) == ("invalid_authorization_details", "st4te")
    assert query["iss"]
    assert query["error_description"]
    pushed = push(client, authorization_details=wrong)
    assert (pushed.status_code, error_of(pushed)) == (400, "invalid_authorization_details")
    assert not Consent.objects.exists()


@cases("opening", ["[", '{"a":', '[{"a":'])
def test_deep_nesting_is_refused_before_it_is_parsed(client: OAuthClient, ada: User, opening: str) -> None:
    for wrong in (opening * 33, opening * 1000):
        query = query_of(client.authorize(sign_in(ada), authorization_details=wrong))
        assert query["error"] == "invalid_authorization_details"
        assert "nested deeper than 32 levels" in query["error_description"]


def test_the_description_names_the_field(client: OAuthClient, ada: User) -> None:
    query = query_of(client.authorize(sign_in(ada), authorization_details=text({**MAIL, "type": "payment"})))
    assert query["error_description"].startswith("authorization_details.0.type: Must be one of")
    query = query_of(client.authorize(sign_in(ada), authorization_details=text({**MAIL, "actions": ["email:send"]})))
    assert query["error_description"] == "'email:send' is not one of the requested scopes."


def test_details_may_appear_only_once(client: OAuthClient, ada: User) -> None:
    query = query_of(client.authorize(sign_in(ada), authorization_details=[text(MAIL), text(MAIL)]))
    assert query["error"] == "invalid_request"


def test_empty_details_count_as_left_out(client: OAuthClient, ada: User) -> None:
    for nothing in ("", "[]"):
        client.authorize(sign_in(ada), authorization_details=nothing)
    assert [consent.authorization_details for consent in Consent.objects.all()] == [[], []]


class TestTokenRequest:
    """Section 6: a token request can repeat the details, and gets no others."""

    @pytest.fixture
    def code(self, client: OAuthClient, ada: User) -> str:
        browser = sign_in(ada)
        asked = client.authorize(browser, scope=SCOPE, authorization_details=text(MAIL, CALENDAR))
        form = {"scopes": SCOPE.split(), "target-0": ["ada@work.example"], "target-1": ["work"]}
        return query_of(browser.post(asked["Location"], {"decision": "allow", **form}))["code"]

    @cases(
        "details",
        [
            [MAIL, CALENDAR],
            [picked("ada@work.example")],
            [picked("ada@evil.example"), CALENDAR],
            [picked("ada@work.example"), {**CALENDAR, "type": "account"}],
            [],
        ],
    )
    def test_other_details_are_refused_and_the_code_stays_usable(
        self, client: OAuthClient, code: str, details: list[Json]
    ) -> None:
        refused = client.redeem(code, authorization_details=text(*details))
        assert (refused.status_code, error_of(refused)) == (400, "invalid_authorization_details")
        tokens = client.redeem(code, authorization_details=text(CALENDAR, picked("ada@work.example"))).json()
        assert tokens["authorization_details"] == [picked("ada@work.example"), CALENDAR]
        refused = client.refresh(tokens["refresh_token"], authorization_details=text(*details))
        assert (refused.status_code, error_of(refused)) == (400, "invalid_authorization_details")
        again = text(picked("ada@work.example"), CALENDAR)
        assert client.refresh(tokens["refresh_token"], authorization_details=again).status_code == 200

    @cases("wrong", ["x", text({**MAIL, "type": "payment"}), text({**MAIL, "more": 1})])
    def test_section_8_details_that_do_not_conform_are_refused(
        self, client: OAuthClient, code: str, wrong: str
    ) -> None:
        refused = client.redeem(code, authorization_details=wrong)
        assert (refused.status_code, error_of(refused)) == (400, "invalid_authorization_details")

    def test_details_that_were_not_requested_are_refused(self, client: OAuthClient, ada: User) -> None:
        refused = client.redeem(client.code(ada), authorization_details=text(MAIL))
        assert (refused.status_code, error_of(refused)) == (400, "invalid_authorization_details")

    def test_no_user_grants_them_to_a_client_on_its_own(self, client: OAuthClient) -> None:
        refused = client.token(grant_type="client_credentials", authorization_details=text(MAIL))
        assert (refused.status_code, error_of(refused)) == (400, "invalid_authorization_details")


def test_section_10_the_metadata_lists_the_types(client: OAuthClient) -> None:
    metadata = client.http.get("/.well-known/oauth-authorization-server/oauth").json()
    assert metadata["authorization_details_types_supported"] == ["account", "calendar", "repository", "target"]


def test_section_10_a_client_can_announce_types(register: Any) -> None:
    assert register(authorization_details_types=["account", "other"]).agent.client_id


def test_a_stock_client_can_have_details(
    register: Any, world: Any, developer: Developer, service: RegisteredResourceServer, ada: User
) -> None:
    client = register(token_endpoint_auth_method="none")
    resource = service.server.identifier
    browser = sign_in(ada)
    asked = client.authorize(browser, scope="email:read", resource=resource, authorization_details=text(MAIL))
    form = {"decision": "allow", "scopes": ["email:read"], "target-0": ["ada@home.example"]}
    code = query_of(browser.post(asked["Location"], form))["code"]
    tokens = client.redeem(code).json()
    assert tokens["authorization_details"] == [picked("ada@home.example")]
    assert introspect(service, tokens["access_token"])["authorization_details"] == [picked("ada@home.example")]


def test_another_clients_connection_is_not_bounded(client: OAuthClient, ada: User, developer: Developer) -> None:
    granted(client, ada, "ada@work.example")
    assert "authorization_details" not in make_client(developer, name="Second").tokens(ada)
