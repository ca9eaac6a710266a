"""The consent screen lets the user choose to which other agents an agent may hand work."""

import re
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from agents.registration import ClientMetadata, register_stock_client
from consent.models import Consent
from tests.constants import CALLBACK, CHALLENGE, PASSWORD
from tests.shared import cases
from tests.web.markup import text_of
from tests.world import ANONYMOUS, allow, make_agent, sign_in_recently
from tests.world import ask as request_consent

READ, DELEGATE = "email:read", "agents:delegate"


@pytest.fixture
def agent(developer: Any) -> Agent:
    return make_agent(developer, allowed_scopes=[READ, "email:send", DELEGATE])


@pytest.fixture
def browser(ada: Any) -> Client:
    """Ada's browser, just after she signed in."""
    return sign_in_recently(ada)


def page(client: Client, consent: Consent) -> str:
    return text_of(client, f"/consent/{consent.id}")


def send(client: Client, consent: Consent, *scopes: str, **fields: str) -> Any:
    return client.post(f"/consent/{consent.id}", {"decision": "allow", "scopes": list(scopes), **fields})


def offered(html: str) -> list[str]:
    """Return the modes on the page, the preselected one with an asterisk."""
    found = re.findall(r'type="radio" name="delegation" value="(\w+)"( checked)?', html)
    return [value + ("*" if checked else "") for value, checked in found]


def mode_of(consent: Consent) -> str:
    return Consent.objects.get(pk=consent.pk).delegation


def live(agent: Agent, user: Any, scopes: list[str], mode: str) -> Consent:
    consent = allow(request_consent(agent, scopes=scopes), user)
    Consent.objects.filter(pk=consent.pk).update(delegation=mode)
    return consent


def test_a_request_that_is_not_about_it_says_nothing(browser: Client, agent: Agent) -> None:
    html = page(browser, request_consent(agent, scopes=[READ]))
    assert "hand work" not in html
    assert offered(html) == []


def test_the_choice_is_at_the_permission_and_replaces_what_does_not_hold_for_it(browser: Client, agent: Agent) -> None:
    html = page(browser, request_consent(agent, scopes=[READ, DELEGATE]))
    assert offered(html) == ["none", "developer*", "verified"]
    for words in ("No other agent", "Only other agents of Acme", "Also agents of verified developers"):
        assert words in re.sub(r"</?bdi>", "", html)
    assert "Asks you every time" not in html
    assert "asking you each time" not in html
    assert "Set a limit" not in html


@cases("mode", ["none", "developer", "verified"])
def test_what_is_chosen_is_granted(browser: Client, agent: Agent, mode: str) -> None:
    asked = request_consent(agent, scopes=[READ, DELEGATE])
    assert send(browser, asked, READ, DELEGATE, delegation=mode).status_code == 303
    assert mode_of(asked) == mode


def test_without_the_permission_nothing_is_handed_on(browser: Client, agent: Agent) -> None:
    asked = request_consent(agent, scopes=[READ, DELEGATE])
    assert send(browser, asked, READ, delegation="verified").status_code == 303
    assert mode_of(asked) == "none"


@cases(
    "scopes, mode, at_first",
    [
        ([READ], "verified", ["none", "developer", "verified*"]),
        ([READ], "none", []),
        ([READ, DELEGATE], "none", ["none*", "developer", "verified"]),
        ([READ, DELEGATE], "developer", ["none", "developer*", "verified"]),
    ],
)
def test_a_live_connection_preselects_its_own(
    browser: Client, agent: Agent, ada: Any, scopes: list[str], mode: str, at_first: list[str]
) -> None:
    live(agent, ada, scopes, mode)
    asked = request_consent(agent, scopes=["email:send"])
    assert offered(page(browser, asked)) == at_first
    send(browser, asked, *scopes, "email:send", **({"delegation": "none"} if at_first else {}))
    assert mode_of(asked) == "none"


def test_a_choice_outlives_the_question_for_the_password(as_ada: Client, agent: Agent) -> None:
    asked = request_consent(agent, scopes=[READ, DELEGATE])
    asking = send(as_ada, asked, READ, DELEGATE, delegation="verified")
    assert asking.status_code == 303
    as_ada.post(asking["Location"], {"password": PASSWORD})
    assert offered(page(as_ada, asked)) == ["none", "developer", "verified*"]


def test_a_choice_stays_when_nothing_was_ticked(browser: Client, agent: Agent) -> None:
    asked = request_consent(agent, scopes=[READ, DELEGATE])
    again = send(browser, asked, delegation="verified")
    assert again.status_code == 422
    assert offered(again.content.decode()) == ["none", "developer", "verified*"]


def test_a_mode_that_the_page_does_not_offer_is_refused(browser: Client, agent: Agent) -> None:
    asked = request_consent(agent, scopes=[READ, DELEGATE])
    assert send(browser, asked, READ, DELEGATE, delegation="everyone").status_code == 400
    assert mode_of(asked) == "none"


def test_a_client_that_registered_itself_is_offered_none(browser: Client) -> None:
    """Nothing is handed on by its permission, so services ask for each use."""
    metadata = ClientMetadata(name="Inspector", redirect_uris=[CALLBACK], auth_method=Agent.AuthMethod.POST)
    stock = register_stock_client(actor=ANONYMOUS, metadata=metadata).agent
    asked = request_consent(stock, scopes=[READ, DELEGATE], code_challenge=CHALLENGE)
    html = page(browser, asked)
    assert offered(html) == []
    assert "Asks you every time." in html
    send(browser, asked, READ, DELEGATE, delegation="verified")
    assert mode_of(asked) == "none"
