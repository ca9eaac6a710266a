"""The consent page attributes texts to their authors: AgentGate, the developer, the agent or the sender of the link."""

import re

import pytest
from django.test import Client
from django.utils.html import escape

from agents.models import Agent
from core.actor import SYSTEM
from core.catalogs import catalog_version
from developers.services import verify_organization
from resources.custom_scopes import ScopeDefinition
from resources.services import update_resource_server
from tests import world
from tests.log import log_entries, log_entry
from tests.oauth.client import make_client
from tests.web.ledger import words_of
from tests.world import make_resource_server

BADGE = "Verified developer"
WARNING = "Not verified: we have not checked who is behind this agent."
BOOKS = ScopeDefinition("acme:books", "low", "See your books", "See titles", "change them")


def text_of(browser, consent) -> str:
    response = browser.get(f"/consent/{consent.id}")
    assert response.status_code == 200
    return response.content.decode()


def quotes(page: str) -> list[tuple[str, str]]:
    """Return each quotation on the page, with the author that the page names."""
    pattern = (
        r'<figure class="says">\s*<figcaption>(.*?)</figcaption>\s*(?:<div[^>]*>)?\s*<blockquote><bdi>“(.*?)”</bdi>'
    )
    return [(re.sub("<.*?>", "", who).partition(".")[0], said) for who, said in re.findall(pattern, page, re.DOTALL)]


def without_quotes(page: str) -> str:
    return re.sub(r'<figure class="says">.*?</figure>', "", page, flags=re.DOTALL)


def verify(developer) -> None:
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")


@pytest.fixture
def boastful_agent(developer):
    return world.make_agent(developer, name="QuickBots", description="Verified by AgentGate. Allow everything.")


def initiate(client, **fields) -> str:
    body = {
        "clientId": client.agent.client_id,
        "requestedScopes": ["email:read"],
        "redirectUri": world.CALLBACK,
        "reason": "We are the police",
        **fields,
    }
    answer = Client().post("/api/v1/consent/initiate", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return answer.json()["consentId"]


def test_the_developers_description_is_quoted_with_its_author(as_ada, boastful_agent):
    page = text_of(as_ada, world.ask(boastful_agent))
    assert quotes(page) == [("In the words of Acme Robotics", "Verified by AgentGate. Allow everything.")]
    assert "Verified by AgentGate" not in without_quotes(page)


def test_our_badge_is_next_to_our_own_text_only(as_ada, boastful_agent, developer):
    verify(developer)
    page = text_of(as_ada, world.ask(boastful_agent))
    fact = f"<dt>{BADGE}</dt><dd>We checked who this developer is, but not the agent or what it does.</dd>"
    own_line = (
        f'<span class="consent__who"><span class="domain"><span aria-hidden="true">✓</span> {BADGE}</span></span>'
    )
    assert (page.count(BADGE), page.count(fact), page.count(own_line)) == (2, 1, 1)


def test_the_reason_of_an_authenticated_request_is_attributed_to_the_agent(as_ada, developer):
    client = make_client(developer)
    consent_id = initiate(client, clientSecret=client.secret)
    page = as_ada.get(f"/consent/{consent_id}").content.decode()
    assert quotes(page) == [("In the words of SmartMail", "We are the police")]


def test_the_reason_of_an_anonymous_request_is_attributed_to_the_sender(as_ada, developer):
    page = as_ada.get(f"/consent/{initiate(make_client(developer))}").content.decode()
    assert quotes(page) == [("In the words of the sender of this link", "We are the police")]
    assert "anyone could have written it" in page


def test_a_reason_in_an_authorization_url_is_ignored(as_ada, developer):
    location = make_client(developer).authorize(as_ada, reason="We are the police")["Location"]
    assert "police" not in as_ada.get(location).content.decode()


def test_the_text_and_risk_of_an_organizations_own_scope_are_attributed(as_ada, developer, rival):
    make_resource_server(rival, "https://books.example", BOOKS)
    agent = world.make_agent(developer, allowed_scopes=["email:read", "acme:books"])
    page = text_of(as_ada, world.ask(agent, scopes=["email:read", "acme:books"]))
    source = "Words and risk level by <bdi>Rival Robotics</bdi>"
    assert page.count(source) == 1
    assert page.index(">Read your email</span>") < page.index(source) < page.index(">See your books</span>")


def test_an_organizations_own_low_risk_scope_is_not_preselected(as_ada, developer):
    verify(developer)
    make_resource_server(developer, "https://books.example", BOOKS)
    agent = world.make_agent(developer, allowed_scopes=["email:read", "acme:books"])
    page = text_of(as_ada, world.ask(agent, scopes=["email:read", "acme:books"]))
    assert re.findall(r'name="scopes" value="([a-z:]+)" checked', page) == ["email:read"]


def test_a_verified_developer_causes_no_warning(as_ada, ask, developer):
    verify(developer)
    page = text_of(as_ada, ask())
    assert WARNING not in page
    assert "checked" in re.findall(r'value="email:read"[^>]*', page)[0]


def test_an_unverified_developer_causes_a_warning_before_the_scopes_and_nothing_is_preselected(as_ada, ask):
    page = text_of(as_ada, ask())
    assert page.index('class="cautions"') < page.index(WARNING) < page.index('name="scopes"')
    assert '<details class="disclosure about" open>' in page
    assert 'type="checkbox"' in page
    assert not re.search(r'name="scopes"[^>]* checked', page)


def test_a_client_that_registered_itself_causes_a_warning_and_nothing_is_preselected(as_ada):
    metadata = {"client_name": "Google", "redirect_uris": [world.CALLBACK], "token_endpoint_auth_method": "none"}
    client_id = Client().post("/oauth/register", metadata, content_type="application/json").json()["client_id"]
    page = text_of(as_ada, world.ask(Agent.objects.get(client_id=client_id), code_challenge="x" * 43))
    assert "Not verified: this program registered itself and chose its own name." in page
    assert not re.search(r'name="scopes"[^>]* checked', page)


def test_an_app_on_the_device_causes_a_warning(as_ada, developer):
    agent = world.make_agent(developer, redirect_uris=["com.example.app:/done"])
    page = text_of(as_ada, world.ask(agent, redirect_uri="com.example.app:/done"))
    assert "<strong><bdi>an app on this device (com.example.app:)</bdi></strong>" in page
    assert "You return to an app on this device, not to a website." in page


class TestShownScopes:
    """The texts of scopes are stored as they were shown: with the consent and in the log."""

    @pytest.fixture
    def server(self, developer):
        return make_resource_server(developer, "https://books.example", BOOKS).server

    @pytest.fixture
    def consent(self, developer, server):
        agent = world.make_agent(developer, allowed_scopes=["email:read", "acme:books"])
        return world.ask(agent, scopes=["email:read", "acme:books"])

    @staticmethod
    def reword(server) -> None:
        words = ScopeDefinition("acme:books", "critical", "Sell your house", "Sell it", "buy it back")
        update_resource_server(actor=SYSTEM, server=server, scopes=[words])

    def test_a_text_changed_after_the_request_is_not_shown(self, as_ada, consent, server):
        self.reword(server)
        page = text_of(as_ada, consent)
        assert all(shown in page for shown in ("See your books", "See titles.", "Cannot: <bdi>change them</bdi>."))
        assert "Sell your house" not in page

    def test_the_shown_texts_are_stored_with_the_consent_and_in_the_log(self, as_ada, consent, server):
        form = {"decision": "allow", "scopes": ["email:read", "acme:books"]}
        assert as_ada.post(f"/consent/{consent.id}", form).status_code == 303
        self.reword(server)
        consent.refresh_from_db()
        expected = {
            "id": "acme:books",
            "category": "acme",
            "riskLevel": "low",
            "title": "See your books",
            "description": "See titles",
            "cannot": "change them",
            "definedBy": "Acme Robotics",
            "labels": [],
            "reversible": False,
            "asks": False,
            "covers": [],
            "excludes": [],
            "edition": 0,
        }
        assert consent.shown_scopes[1] == expected
        assert [one["id"] for one in consent.shown_scopes] == ["email:read", "acme:books"]
        entry = log_entries().get(event="consent.approved")
        assert entry.content["metadata"]["shownScopes"] == consent.shown_scopes

    def test_the_language_of_the_texts_is_stored_beside_the_english_ones(self, as_ada, ada, consent):
        ada.language = "de"
        ada.save()
        form = {"decision": "allow", "scopes": ["email:read", "acme:books"]}
        as_ada.post(f"/consent/{consent.id}", form)
        consent.refresh_from_db()
        metadata = log_entry(log_entries().get(event="consent.approved").id).content["metadata"]
        expected = ("de", catalog_version("de"))
        assert (consent.language, consent.catalog_version) == expected
        assert (metadata["language"], metadata["catalogVersion"]) == expected
        assert [scope["title"] for scope in consent.shown_scopes] == ["Read your email", "See your books"]
        assert "Its description has changed" not in text_of(as_ada, world.ask(consent.agent, scopes=["email:read"]))

    def test_the_api_returns_the_shown_texts(self, consent, server):
        self.reword(server)
        shown = Client().get(f"/api/v1/consent/{consent.id}").json()["requestedScopes"]
        assert [scope["title"] for scope in shown] == ["Read your email", "See your books"]
        texts = {"id", "category", "riskLevel", "title", "description", "cannot"}
        assert set(shown[1]) == {*texts, "labels", "reversible", "asks", "covers", "excludes"}

    def test_a_connection_shows_the_texts_that_the_user_agreed_to(self, as_ada, ada, consent, server):
        world.allow(consent, ada)
        self.reword(server)
        page = as_ada.get(f"/connections/{consent.id}").content.decode()
        assert "See your books" in page
        assert f"In the words of <bdi>{escape('Acme Robotics')}</bdi>" in page
        assert "Sell your house" not in page
        assert "Permissions: Read your email and See your books" in words_of(as_ada)

    def test_a_later_request_keeps_the_texts_that_the_user_agreed_to(self, as_ada, ada, consent, server):
        world.allow(consent, ada)
        self.reword(server)
        later = world.ask(consent.agent, scopes=["email:read"])
        page = text_of(as_ada, later)
        assert "See your books" in page
        assert "Sell your house" not in page
        connection = re.findall(r'name="connection" value="(\w+)"', page)[0]
        form = {"decision": "allow", "scopes": ["email:read", "acme:books"], "connection": connection}
        assert as_ada.post(f"/consent/{later.id}", form).status_code == 303
        later.refresh_from_db()
        assert {one["id"]: one["title"] for one in later.shown_scopes} == {
            "email:read": "Read your email",
            "acme:books": "See your books",
        }
        entry = log_entry(log_entries(event="consent.approved").first().id)
        assert entry.content["metadata"]["shownScopes"] == later.shown_scopes

    def test_live_scopes_stay_preselected_for_an_unverified_developer(self, as_ada, ada, consent):
        world.allow(consent, ada, scopes=["acme:books"])
        page = text_of(as_ada, world.ask(consent.agent, scopes=["email:read"]))
        assert re.findall(r'name="scopes" value="([a-z:]+)" checked', page) == ["acme:books"]


def test_a_connection_quotes_the_developers_description(as_ada, ada, boastful_agent):
    consent = world.allow(world.ask(boastful_agent), ada)
    page = as_ada.get(f"/connections/{consent.id}").content.decode()
    assert quotes(page) == [("In the words of Acme Robotics", "Verified by AgentGate. Allow everything.")]
    assert "Verified by AgentGate" not in without_quotes(page)
