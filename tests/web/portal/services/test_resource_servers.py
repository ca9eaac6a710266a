"""The developer portal: resource servers, their secrets, and the scopes that an organization defines."""

import re
import subprocess
from html import unescape

import pytest

from consent.granting import approve_consent
from core import clock
from core.secrets import digest
from decisions.requests import VerifyRequest
from decisions.services import decide
from resources.models import CustomScope, ResourceServer
from tests.log import log_entries
from tests.shared import cases
from tests.web.markup import main_of, markup_of
from tests.web.portal.agents.test_developer_agents import shown_secret
from tokens.exchange import exchange_code

OWN = {
    "scope_id": "tickets:read",
    "title": "Read your tickets",
    "description": "See your tickets and what was said",
    "cannot": "change or close them",
    "risk_level": "low",
    "labels": ["private"],
}
NEW = {"name": "Tickets", "identifier": "https://Tickets.Example/api/", **OWN}
PAGES = ("", "/edit", "/rotate", "/delete", "/scopes/new", "/scopes/tickets:read/edit")
PATH = "/developer/resource-servers"


@pytest.fixture
def server(as_developer, developer) -> ResourceServer:
    """A resource server of the developer with one scope of its own."""
    as_developer.post(f"{PATH}/new", NEW)
    return ResourceServer.objects.get(organization=developer.organization)


def url(server: ResourceServer) -> str:
    return f"{PATH}/{server.id}"


def test_a_new_resource_servers_secret_is_shown_once(as_developer, developer):
    response = as_developer.post(f"{PATH}/new", {**NEW, "shared": ["email:read"]})
    server = ResourceServer.objects.get()
    assert (response.status_code, response["Location"]) == (303, as_developer.at(url(server)))
    secret = shown_secret(as_developer.get(url(server)))
    assert secret.startswith("rs_")
    assert server.secrets.get().digest == digest(secret)
    assert secret not in markup_of(as_developer.get(url(server)))
    assert server.organization == developer.organization
    assert (server.name, server.identifier) == ("Tickets", "https://tickets.example/api/")
    assert server.scopes == ["tickets:read", "email:read"]
    scope = CustomScope.objects.get(id="tickets:read")
    assert (scope.title, scope.risk_level, scope.labels) == ("Read your tickets", "low", ["private"])
    assert not scope.is_reversible


@cases(
    ("change", "message"),
    [
        ({"name": ""}, "Name: This field is required."),
        ({"identifier": "tickets"}, "Identifier: Must be an absolute https or http URI"),
        ({"scope_id": "Tickets"}, "Scope ID: The id must be prefix:name in lower case"),
        ({"scope_id": "email:tickets"}, "Scope ID: The prefix email is reserved for the catalogue."),
        ({"title": ""}, "Title: Required to define a scope."),
        ({"risk_level": "none"}, "Risk: Select a valid choice."),
        ({**dict.fromkeys(OWN, ""), "labels": []}, "Scopes from the catalogue: Choose at least one scope"),
        ({"shared": ["made:up"]}, "made:up is not one of the available choices"),
    ],
)
def test_a_refused_registration_keeps_what_was_typed(as_developer, change, message):
    response = as_developer.post(f"{PATH}/new", {**NEW, **change})
    text = markup_of(response)
    assert response.status_code == 422
    assert text.index('id="errors"') < text.index(message) < text.index("<label")
    for name in ("name", "identifier", "scope_id", "title", "description", "cannot"):
        kept = {**NEW, **change}[name]
        assert f'name="{name}" value="{kept}"' in text or not kept
    assert not ResourceServer.objects.exists()


def test_an_identifier_and_a_prefix_belong_to_one_organization(as_developer, as_rival, server):
    text = markup_of(as_rival.post(f"{PATH}/new", {**NEW, "scope_id": "rival:read"}))
    assert "Identifier: https://tickets.example/api/ is already registered. Choose another identifier." in text
    text = markup_of(as_rival.post(f"{PATH}/new", {**NEW, "identifier": "https://rival.example"}))
    assert "Scope ID: Another organization uses the prefix tickets. Choose another prefix." in text
    assert ResourceServer.objects.count() == 1


def test_all_errors_of_a_registration_are_shown_at_once(as_rival, server):
    response = as_rival.post(f"{PATH}/new", {**NEW, "name": "", "title": ""})
    assert set(response.context["form"].errors) == {"name", "identifier", "scope_id", "title"}
    nothing = {**dict.fromkeys(NEW, ""), "labels": []}
    response = as_rival.post(f"{PATH}/new", {**nothing, "identifier": "https://rival.example"})
    assert set(response.context["form"].errors) == {"name", "shared"}
    own = as_rival.post(f"{PATH}/new", {"name": "R", "identifier": "https://rival.example", "shared": ["email:read"]})
    response = as_rival.post(f"{own['Location']}/scopes/new", {**OWN, "title": ""})
    assert set(response.context["form"].errors) == {"scope_id", "title"}


def test_a_full_stop_is_not_doubled(as_developer, developer, world):
    form = {**NEW, "description": "See your tickets.", "cannot": "change them. "}
    as_developer.post(f"{PATH}/new", form)
    agent = world.make_agent(developer, allowed_scopes=["tickets:read"])
    page = markup_of(as_developer.get(f"/developer/agents/{agent.id}/try"))
    assert "See your tickets.</span>" in page
    assert "Cannot: <bdi>change them</bdi>." in page
    assert ".." not in page


def test_the_list_shows_the_organizations_own_and_finds_them(as_developer, as_rival, server):
    assert "Tickets" in markup_of(as_developer.get(PATH))
    assert "Tickets" in markup_of(as_developer.get(f"{PATH}?q=ticKETS.ex"))
    assert "No resource server matches" in markup_of(as_developer.get(f"{PATH}?q=calendar%00"))
    assert "No resource servers yet" in markup_of(as_rival.get(PATH))


def test_the_name_and_the_offered_scopes_are_changed(as_developer, server):
    page = markup_of(as_developer.get(f"{url(server)}/edit"))
    assert 'value="tickets:read" id="id_own_0" checked' in " ".join(page.split())
    response = as_developer.post(f"{url(server)}/edit", {"name": "Helpdesk", "shared": ["email:read"]})
    assert (response.status_code, response["Location"]) == (303, as_developer.at(url(server)))
    server.refresh_from_db()
    assert (server.name, server.scopes) == ("Helpdesk", ["email:read"])
    assert CustomScope.objects.filter(id="tickets:read").exists()
    response = as_developer.post(f"{url(server)}/edit", {"name": "Helpdesk"})
    assert (response.status_code, "Choose at least one scope.<" in markup_of(response)) == (422, True)


def test_a_scope_is_added(as_developer, server):
    close = {**OWN, "scope_id": "tickets:close", "title": "Close your tickets", "risk_level": "critical"}
    assert "tickets:" in markup_of(as_developer.get(f"{url(server)}/scopes/new"))
    assert as_developer.post(f"{url(server)}/scopes/new", close).status_code == 303
    server.refresh_from_db()
    assert server.scopes == ["tickets:read", "tickets:close"]
    entry = log_entries(event="resource_server.updated").latest("leaf_index")
    assert entry.content["metadata"]["scope"] == "tickets:close"
    page = markup_of(as_developer.get(url(server)))
    assert "Close your tickets" in page
    assert "Critical risk" in page


@cases(
    ("change", "message"),
    [
        ({}, "Scope ID: Your organization already has this scope. Choose another ID."),
        ({"scope_id": "slack:x"}, "Scope ID: The prefix slack is reserved for the catalogue."),
        ({"scope_id": ""}, "Scope ID: This field is required."),
        ({"scope_id": "tickets:x", "cannot": "\u200b"}, "It cannot: This field is required."),
        ({"scope_id": "tickets:x", "labels": ["all"]}, "all is not one of the available choices"),
    ],
)
def test_a_scope_that_cannot_be_added_changes_nothing(as_developer, server, change, message):
    response = as_developer.post(f"{url(server)}/scopes/new", {**OWN, "title": "Another", **change})
    assert (response.status_code, message in markup_of(response)) == (422, True)
    server.refresh_from_db()
    assert server.scopes == ["tickets:read"]
    assert CustomScope.objects.get().title == "Read your tickets"


def test_the_texts_of_a_scope_are_changed_but_not_its_id(as_developer, server):
    path = f"{url(server)}/scopes/tickets:read/edit"
    assert 'value="change or close them"' in markup_of(as_developer.get(path))
    response = as_developer.post(
        path, {**OWN, "scope_id": "tickets:all", "title": "Read tickets", "is_reversible": "on"}
    )
    assert (response.status_code, response["Location"]) == (303, as_developer.at(url(server)))
    scope = CustomScope.objects.get()
    assert (scope.id, scope.title, scope.is_reversible) == ("tickets:read", "Read tickets", True)
    assert as_developer.post(path, {**OWN, "title": ""}).status_code == 422


def test_scopes_of_the_catalogue_and_unknown_ones_cannot_be_edited(as_developer, server):
    for scope in ("email:read", "unknown:x"):
        path = f"{url(server)}/scopes/{scope}/edit"
        assert as_developer.get(path).status_code == 404
        assert as_developer.post(path, OWN).status_code == 404


def test_a_scope_that_no_resource_server_offers_is_listed_and_edited(as_developer, server):
    assert "Not offered" not in markup_of(as_developer.get(url(server)))
    as_developer.post(f"{url(server)}/edit", {"name": "Tickets", "shared": ["email:read"]})
    path = f"{url(server)}/scopes/tickets:read/edit"
    assert "Not offered</h3>" in markup_of(as_developer.get(url(server)))
    assert f'<a href="{as_developer.at(path)}">Edit' in markup_of(as_developer.get(url(server)))
    assert as_developer.get(path).status_code == 200
    assert as_developer.post(path, {**OWN, "title": "Read tickets"}).status_code == 303
    assert CustomScope.objects.get().title == "Read tickets"
    elsewhere = {"name": "Other", "identifier": "https://other.example", "own": ["tickets:read"]}
    assert as_developer.post(f"{PATH}/new", elsewhere).status_code == 303
    assert "Not offered" not in markup_of(as_developer.get(url(server)))


@cases(("overlap", "live"), [("0", 1), ("86400", 2)])
def test_rotation_shows_the_new_secret_and_keeps_the_old_for_the_overlap(as_developer, server, overlap, live):
    as_developer.get(url(server))
    response = as_developer.post(f"{url(server)}/rotate", {"overlap_seconds": overlap})
    assert (response.status_code, response["Location"]) == (303, as_developer.at(url(server)))
    page = as_developer.get(url(server))
    assert digest(shown_secret(page)) == server.secrets.first().digest
    assert len(page.context["secrets"]) == live
    assert as_developer.post(f"{url(server)}/rotate", {"overlap_seconds": "5"}).status_code == 422


def test_an_overlap_that_keeps_too_many_secrets_is_refused(as_developer, server):
    for _number in range(10):
        answer = as_developer.post(f"{url(server)}/rotate", {"overlap_seconds": "3600"})
    assert answer.status_code == 422
    assert "When the old one expires: At most 10 can work at once." in markup_of(answer)


def test_deleting_needs_the_name(as_developer, server):
    path = f"{url(server)}/delete"
    page = markup_of(as_developer.get(path))
    assert "Tokens for this service are refused" in page
    assert "1 scope that you defined." in page
    assert "No agent has a token for this service now." in page
    for name in ("", "tickets", "Tickets API"):
        assert as_developer.post(path, {"name": name}).status_code == 422
    assert ResourceServer.objects.exists()
    response = as_developer.post(path, {"name": " Tickets "})
    assert (response.status_code, response["Location"]) == (303, as_developer.at(PATH))
    assert not ResourceServer.objects.exists()
    assert log_entries(event="resource_server.deleted").count() == 1
    assert as_developer.get(url(server)).status_code == 404


def test_deleting_says_how_many_users_agents_and_grants_it_hits(as_developer, developer, server, world, ada, bob):
    agent = world.make_agent(developer, allowed_scopes=["tickets:read"])
    for user in (ada, bob):
        consent = world.ask(agent, scopes=["tickets:read"], resource=[server.identifier])
        actor = world.as_user(user)
        approval = approve_consent(actor=actor, consent=consent, user=user, signed_in_at=clock.now())
        exchange_code(actor=world.ANONYMOUS, agent=agent, code=approval.code)
    page = markup_of(as_developer.get(f"{url(server)}/delete"))
    impact = re.findall(r"<dt>(Users|Agents|Grants)</dt><dd>(\d+)</dd>", page)
    assert impact == [("Users", "2"), ("Agents", "1"), ("Grants", "2")]
    log = rf"{as_developer.home}/logs\?server={server.id}&from=[^&]*&outcome=allowed"
    assert re.search(f'<a href="{log}">0 requests</a>', page)


@pytest.mark.parametrize("page", PAGES)
def test_another_organizations_looks_like_one_that_does_not_exist(as_rival, server, page):
    theirs, none = (as_rival.get(f"{PATH}/{one}{page}") for one in (server.id, "res_0000"))
    assert theirs.status_code == none.status_code == 404
    assert main_of(theirs.content.decode()) == main_of(none.content.decode())


@pytest.mark.parametrize("page", PAGES[1:])
def test_another_organization_cannot_change_it(as_rival, server, page):
    form = {**NEW, "overlap_seconds": "0", "shared": ["email:read"]}
    assert as_rival.post(f"{url(server)}{page}", form).status_code == 404
    server.refresh_from_db()
    assert (server.name, server.scopes, server.secrets.count()) == ("Tickets", ["tickets:read"], 1)


def test_a_user_who_is_not_a_developer_is_redirected_to_become_one(as_ada):
    assert as_ada.get(PATH)["Location"] == "/developer/"


def test_the_page_asks_verify_with_the_real_id_and_leads_to_the_guides(as_developer, server):
    ResourceServer.objects.update(name="</pre><script>alert(1)</script>")
    page = as_developer.get(url(server)).content.decode()
    shown = unescape(page.split('<pre class="code" id="snippet"')[1].split(">", 1)[1].split("</pre>")[0])
    assert f"export AGENTGATE_RESOURCE_SERVER_ID={server.id}\n" in shown
    assert '"requiredScopes": ["tickets:read"]' in shown
    assert subprocess.run(["bash", "-n"], input=shown, text=True, check=False).returncode == 0
    assert "<script>alert" not in page
    for guide in ("protect-django", "protect-fastapi", "protect-fastmcp", "gateway", "python-sdk"):
        assert as_developer.get(f"/docs/{guide}").status_code == 200
        assert f'href="/docs/{guide}"' in page


def test_the_page_says_how_the_service_uses_agentgate(as_developer, developer, server, world):
    assert "It has not yet asked about a token that AgentGate issued." in markup_of(as_developer.get(url(server)))
    credential = world.make_caller(server)
    grant = world.make_grant(email="eve@example.com", developer="other@example.com")
    request = VerifyRequest(grant.access_token, ["email:read"], world.ANONYMOUS, credential)
    decide([request, request, request])
    page = markup_of(as_developer.get(url(server)))
    assert "Last asked" in page
    assert "0 allowed" in page
    assert "3 denied (100%)" in page
    assert "3 requests had tokens that were expired, revoked or for another service" in page
    errors = re.search(r'Error rate:\s*<a href="([^"]+)">100%</a>', page)
    assert len(as_developer.get(unescape(errors[1])).context["rows"]) == 3
    assert f"?server={server.id}" in page


@pytest.fixture
def gone(server):
    """A scope that the resource server offers, and that has left the catalogue."""
    ResourceServer.objects.update(scopes=["tickets:read", "fax:send"])
    return "fax:send"


def test_a_scope_that_has_left_the_catalogue_is_said_to_be_gone(as_developer, server, gone):
    for page in ("", "/edit"):
        assert f"<code>{gone}</code>" in markup_of(as_developer.get(f"{url(server)}{page}"))


def test_a_scope_that_has_left_the_catalogue_does_not_block_other_changes(as_developer, server, gone):
    form = {"name": "Renamed", "own": ["tickets:read"]}
    assert as_developer.post(f"{url(server)}/edit", form).status_code == 303
    new = {**OWN, "scope_id": "tickets:close", "title": "Close your tickets"}
    assert as_developer.post(f"{url(server)}/scopes/new", new).status_code == 303
    server.refresh_from_db()
    assert (server.name, server.scopes) == ("Renamed", ["tickets:read", gone, "tickets:close"])


def test_a_resource_server_all_of_whose_scopes_are_gone_can_be_renamed(as_developer, server, gone):
    ResourceServer.objects.update(scopes=[gone])
    assert as_developer.post(f"{url(server)}/edit", {"name": "Renamed"}).status_code == 303
    server.refresh_from_db()
    assert (server.name, server.scopes) == ("Renamed", [gone])


def test_other_scopes_replace_one_that_has_left_the_catalogue(as_developer, server, gone):
    form = {"name": "Tickets", "own": ["tickets:read"], "shared": ["email:read"]}
    assert as_developer.post(f"{url(server)}/edit", form).status_code == 303
    server.refresh_from_db()
    assert server.scopes == ["tickets:read", "email:read"]
