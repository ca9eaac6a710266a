"""A client that asks for more scopes: the user sees which are new, and who asks."""

from typing import Any

from accounts.models import User
from developers.models import Developer
from tests.oauth.client import OAuthClient, query_of
from tests.shared import cases
from tests.web.markup import choices_in


def screen(client: OAuthClient, world: Any, person: User, scope: str) -> Any:
    browser = world.sign_in(person)
    return browser.get(client.authorize(browser, scope=scope)["Location"])


def shown(page: Any, group: str) -> list[tuple[str, bool]]:
    return [(choice.scope.id, choice.ticked) for choice in choices_in(page, group)]


@cases("is_verified", [True, False])
def test_the_screen_separates_allowed_scopes_from_new_ones(
    client: OAuthClient, world: Any, ada: User, developer: Developer, is_verified: bool
) -> None:
    developer.organization.is_verified = is_verified
    developer.organization.save()
    client.tokens(ada, scope="email:send")
    page = screen(client, world, ada, "email:read email:send")
    assert shown(page, "required") == [("email:read", is_verified)]
    assert shown(page, "known") == [("email:send", True)]
    assert "New: the agent says it also needs" in page.content.decode()


def test_on_the_first_screen_everything_is_new(client: OAuthClient, world: Any, ada: User) -> None:
    page = screen(client, world, ada, "email:read email:send")
    assert shown(page, "known") == []
    assert "Already allowed" not in page.content.decode()


def test_grants_of_other_users_and_revoked_grants_do_not_count_as_allowed(
    client: OAuthClient, world: Any, ada: User, bob: User
) -> None:
    from consent.services import revoke_consent

    client.tokens(bob, scope="email:read")
    client.tokens(ada, scope="email:read")
    revoke_consent(actor=world.ANONYMOUS, consent=ada.consents.get())
    assert shown(screen(client, world, ada, "email:read"), "known") == []


def test_a_stepped_up_grant_adds_scopes_but_not_to_earlier_tokens(client: OAuthClient, ada: User) -> None:
    first = client.tokens(ada, scope="email:read")
    second = client.tokens(ada, scope="email:read email:send")
    assert second["scope"] == "email:read email:send"
    assert client.refresh(first["refresh_token"]).json()["scope"] == "email:read"
    assert [one.status for one in ada.consents.all()] == ["approved", "replaced"]


def test_the_screen_shows_the_whole_connection(client: OAuthClient, world: Any, ada: User) -> None:
    client.tokens(ada, scope="email:send calendar:freebusy")
    page = screen(client, world, ada, "email:read email:send")
    assert shown(page, "known") == [("email:send", True), ("calendar:freebusy", True)]
    text = page.content.decode()
    assert "To remove access, untick it" in text
    assert "exactly what is ticked" in text


def test_a_second_device_asks_for_nothing_new(client: OAuthClient, world: Any, ada: User) -> None:
    client.tokens(ada, scope="email:send")
    page = screen(client, world, ada, "email:send")
    assert (shown(page, "required"), shown(page, "known")) == ([], [("email:send", True)])
    assert "The agent asks for nothing new." in page.content.decode()


def test_allow_grants_exactly_what_is_ticked(client: OAuthClient, world: Any, ada: User) -> None:
    first = client.tokens(ada, scope="email:send calendar:freebusy")
    browser = world.sign_in(ada)
    url = client.authorize(browser, scope="email:read email:send")["Location"]
    form = {"decision": "allow", "connection": browser.get(url).context["connection_state"]}
    answer = browser.post(url, {**form, "scopes": ["email:read", "email:send"]})
    assert client.redeem(query_of(answer)["code"]).json()["scope"] == "email:read email:send"
    assert ada.consents.get(status="approved").granted_scopes == ["email:read", "email:send"]
    assert client.refresh(first["refresh_token"]).json()["scope"] == "email:send"


def test_scopes_revoked_after_the_page_was_shown_are_not_granted_again(
    client: OAuthClient, world: Any, ada: User
) -> None:
    from consent.services import revoke_consent

    client.tokens(ada, scope="email:send")
    browser = world.sign_in(ada)
    url = client.authorize(browser, scope="email:read email:send")["Location"]
    form = {"decision": "allow", "connection": browser.get(url).context["connection_state"]}
    revoke_consent(actor=world.ANONYMOUS, consent=ada.consents.get(status="approved"))

    answer = browser.post(url, {**form, "scopes": ["email:read", "email:send"]})

    assert answer.status_code == 409
    assert "has changed since you opened this page" in answer.content.decode()
    assert shown(answer, "known") == []
    assert not ada.consents.filter(status="approved").exists()
    form["connection"] = answer.context["connection_state"]
    assert browser.post(url, {**form, "scopes": ["email:read"]}).status_code == 303
    assert ada.consents.get(status="approved").granted_scopes == ["email:read"]


def test_the_page_is_shown_again_if_the_developer_removed_scopes_meanwhile(
    client: OAuthClient, world: Any, ada: User
) -> None:
    from agents.services import update_agent

    client.tokens(ada, scope="email:send")
    browser = world.sign_in(ada)
    url = client.authorize(browser, scope="email:read")["Location"]
    form = {"decision": "allow", "connection": browser.get(url).context["connection_state"]}
    update_agent(actor=world.ANONYMOUS, agent=client.agent, changes={"allowed_scopes": ["email:read"]})
    assert browser.post(url, {**form, "scopes": ["email:read", "email:send"]}).status_code == 409


def test_unticking_everything_says_where_to_revoke_access(client: OAuthClient, world: Any, ada: User) -> None:
    client.tokens(ada, scope="email:send")
    browser = world.sign_in(ada)
    url = client.authorize(browser, scope="email:read")["Location"]
    page = browser.post(url, {"decision": "allow"})
    assert page.status_code == 422
    assert shown(page, "known") == [("email:send", False)]
    assert "To end all access, revoke it under Connections" in page.content.decode()


def test_a_stock_client_is_shown_as_unverified_with_the_host_in_use(register: Any, world: Any, ada: User) -> None:
    uris = ["https://first.example/cb", "https://tool.example/cb"]
    client = register(redirect_uris=uris, token_endpoint_auth_method="none")
    browser = world.sign_in(ada)
    page = browser.get(client.authorize(browser, redirect_uri=uris[1])["Location"])
    text = page.content.decode()
    assert "<strong><bdi>tool.example</bdi></strong>" in text
    assert "first.example" not in text
    assert "Not verified: this program registered itself" in text
    consent_id = page.context["consent"].id
    developer = browser.get(f"/api/v1/consent/{consent_id}").json()["agent"]["developer"]
    assert developer == {"name": "tool.example", "verified": False}
