"""Changes by developers and services between a user's decisions: descriptions, scopes, owners."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils.html import strip_tags

from resources.models import ReservedIdentifier
from tests.api.conftest import Api, Json, credentials, expect, initiate, problem, tokens_for, verify
from tests.shared import cases
from tests.web.markup import choices_in

NOTES = "https://notes.example/api"
READ = {
    "id": "notes:read",
    "riskLevel": "low",
    "title": "Read notes",
    "description": "Read your notes",
    "cannot": "change anything",
}
DELETE = {**READ, "riskLevel": "critical", "title": "Delete all notes", "description": "Delete your notes"}


def log(person: Api) -> Json:
    """Return the entry of the latest approval."""
    return expect(200, person.get("/users/me/audit-logs?event=consent.approved&limit=1"))["items"][0]


def approve(agent: Json, person: Api, requested: list[str], **body: Any) -> Json:
    return expect(200, person.post(f"/consent/{initiate(agent, requestedScopes=requested)}/approve", body))


def narrow(developer: Api, agent: Json, scopes: list[str]) -> None:
    expect(200, developer.patch(f"/agents/{agent['id']}", {"allowedScopes": scopes}))


@pytest.fixture
def notes(developer: Api) -> Json:
    return expect(201, developer.post("/resource-servers", {"name": "Notes", "identifier": NOTES, "scopes": [READ]}))


@pytest.fixture
def reader(developer: Api, notes: Json) -> Json:
    """Return an agent that can ask for notes."""
    from tests.api.conftest import new_agent

    return new_agent(developer, allowedScopes=["notes:read", "email:read", "email:send"])


@pytest.fixture
def browser(ada: Any) -> Any:
    from accounts.models import User
    from tests.world import sign_in

    return sign_in(User.objects.get(pk=ada.id))


class TestRewordedScopes:
    @pytest.fixture(autouse=True)
    def _reworded(self, reader: Json, ada: Any, developer: Api, notes: Json) -> None:
        """Let the user allow the scope, then let the service change its description."""
        tokens_for(reader, ada, requestedScopes=["notes:read"])
        expect(200, developer.patch(f"/resource-servers/{notes['id']}", {"scopes": [DELETE]}))

    def test_are_shown_as_new_and_not_ticked(self, reader: Json, browser: Any) -> None:
        page = browser.get(f"/consent/{initiate(reader, requestedScopes=['notes:read'])}")
        choices = [(one.scope.title, one.ticked, one.is_reworded) for one in choices_in(page, "required")]
        assert choices == [("Delete all notes", False, True)]
        assert choices_in(page, "known") == []
        assert "Its description has changed" in page.content.decode()

    def test_keep_the_agreed_description_if_the_request_does_not_include_them(
        self, reader: Json, ada: Any, browser: Any
    ) -> None:
        consent = initiate(reader, requestedScopes=["email:read"])
        assert [one.scope.title for one in choices_in(browser.get(f"/consent/{consent}"), "known")] == ["Read notes"]
        assert expect(200, ada.post(f"/consent/{consent}/approve"))["grantedScopes"] == ["email:read", "notes:read"]
        shown = {one["id"]: one["title"] for one in log(ada)["metadata"]["shownScopes"]}
        assert shown["notes:read"] == "Read notes"

    def test_are_logged_as_reworded_and_not_as_kept_if_allowed_again(
        self, reader: Json, ada: Any, browser: Any
    ) -> None:
        assert approve(reader, ada, ["notes:read"])["grantedScopes"] == ["notes:read"]
        metadata = log(ada)["metadata"]
        assert (metadata["reworded"], metadata["kept"], metadata["added"]) == (["notes:read"], [], [])
        assert "Allowed again with a new description: Delete all notes" in strip_tags(
            browser.get("/activity").content.decode()
        )

    def test_are_logged_as_removed_under_the_agreed_title_if_left_out(
        self, reader: Json, ada: Any, browser: Any
    ) -> None:
        assert approve(reader, ada, ["notes:read", "email:read"], scopes=["email:read"])["grantedScopes"] == [
            "email:read"
        ]
        page = strip_tags(browser.get("/activity").content.decode())
        assert "Removed: Read notes" in page
        assert "Removed: Delete all notes" not in page


class TestModesOfRewordedScopes:
    """The user chose to be asked, and then the service changed the description. No mode would be preselected."""

    @pytest.fixture(autouse=True)
    def _asked(self, reader: Json, ada: Any, developer: Api, notes: Json) -> None:
        approve(reader, ada, ["notes:read"], modes={"notes:read": "ask"})
        later = {**READ, "title": "Read all notes", "reversible": True}
        expect(200, developer.patch(f"/resource-servers/{notes['id']}", {"scopes": [later]}))

    def test_are_shown_and_kept(self, reader: Json, ada: Any, browser: Any) -> None:
        consent = initiate(reader, requestedScopes=["notes:read"])
        page = browser.get(f"/consent/{consent}")
        assert [(one.scope.title, one.mode) for one in choices_in(page, "required")] == [("Read all notes", "ask")]
        assert 'name="mode-notes:read" value="ask" checked' in page.content.decode()
        assert self._allow(browser, consent, page).status_code == 303
        assert expect(200, ada.get(f"/consent/{consent}"))["modes"] == {"notes:read": "ask"}

    def test_can_be_changed_on_the_page(self, reader: Json, ada: Any, browser: Any) -> None:
        consent = initiate(reader, requestedScopes=["notes:read"])
        answer = self._allow(browser, consent, browser.get(f"/consent/{consent}"), **{"mode-notes:read": "allow"})
        body = {"code": parse_qs(urlsplit(answer["Location"]).query)["code"][0], **credentials(reader)}
        token = expect(200, Api().post("/tokens/exchange", body))["accessToken"]
        assert expect(200, ada.get(f"/consent/{consent}"))["modes"] == {}
        assert verify(token, "notes:read", resource=NOTES)["allowed"]

    @cases(("modes", "stored"), [({}, {"notes:read": "ask"}), ({"notes:read": "allow"}, {})])
    def test_are_kept_through_the_api_unless_named(self, reader: Json, ada: Any, modes: Json, stored: Json) -> None:
        consent = initiate(reader, requestedScopes=["notes:read"])
        expect(200, ada.post(f"/consent/{consent}/approve", {"modes": modes}))
        assert expect(200, ada.get(f"/consent/{consent}"))["modes"] == stored

    def _allow(self, browser: Any, consent: str, page: Any, **fields: str) -> Any:
        form = {"decision": "allow", "scopes": ["notes:read"], "connection": page.context["connection_state"], **fields}
        return browser.post(f"/consent/{consent}", form)


class TestModesOfScopesThatCameBack:
    """What is stored is what the page shows and its button keeps, however the scope left the connection."""

    HISTORIES = ("restored", "replaced meanwhile", "removed by the user", "revoked")

    @pytest.fixture
    def expected(self, reader: Json, ada: Any, developer: Api, notes: Json, request: Any) -> Json:
        """Let the user choose to be asked, and the scope leave and come back. Return the modes that must be left."""
        expect(200, developer.patch(f"/resource-servers/{notes['id']}", {"scopes": [{**READ, "reversible": True}]}))
        both = ["email:read", "notes:read"]
        consent = initiate(reader, requestedScopes=both)
        expect(200, ada.post(f"/consent/{consent}/approve", {"modes": {"notes:read": "ask"}}))
        if request.param in ("restored", "replaced meanwhile"):
            narrow(developer, reader, ["email:read"])
            if request.param == "replaced meanwhile":
                approve(reader, ada, ["email:read"])
            narrow(developer, reader, both)
        elif request.param == "removed by the user":
            expect(200, ada.patch(f"/users/me/consents/{consent}", {"removeScopes": ["notes:read"]}))
        else:
            expect(200, ada.post(f"/users/me/consents/{consent}/revoke"))
        return {"notes:read": "ask"} if request.param == "restored" else {}

    @pytest.mark.parametrize("expected", HISTORIES, indirect=True)
    def test_are_those_that_the_page_shows(self, reader: Json, ada: Any, browser: Any, expected: Json) -> None:
        consent = initiate(reader, requestedScopes=["email:read", "notes:read"])
        page = browser.get(f"/consent/{consent}")
        choices = [*choices_in(page, "required"), *choices_in(page, "known")]
        form = {"decision": "allow", "scopes": [one.scope.id for one in choices]}
        form["connection"] = page.context["connection_state"]
        shown = {one.scope.id: one.mode for one in choices if one.mode}
        assert browser.post(f"/consent/{consent}", form).status_code == 303
        assert shown == expect(200, ada.get(f"/consent/{consent}"))["modes"] == expected

    @pytest.mark.parametrize("expected", HISTORIES, indirect=True)
    def test_are_the_same_through_the_api(self, reader: Json, ada: Any, expected: Json) -> None:
        consent = initiate(reader, requestedScopes=["email:read", "notes:read"])
        expect(200, ada.post(f"/consent/{consent}/approve"))
        assert expect(200, ada.get(f"/consent/{consent}"))["modes"] == expected


class TestScopesRemovedFromTheAgent:
    def test_are_not_logged_as_removed_by_the_user(self, agent: Json, ada: Any, developer: Api, browser: Any) -> None:
        tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
        narrow(developer, agent, ["email:read"])
        approve(agent, ada, ["email:read"])
        metadata = log(ada)["metadata"]
        assert (metadata["removed"], metadata["withdrawn"]) == ([], ["email:send"])
        page = strip_tags(browser.get("/activity").content.decode())
        assert "Removed:" not in page
        assert "The access ends later than before" in page
        assert "Removed by its developer: Send" in page

    def test_are_neither_shown_nor_granted_if_removed_while_a_request_is_open(
        self, agent: Json, ada: Any, developer: Api, browser: Any
    ) -> None:
        consent = initiate(agent, requestedScopes=["email:read", "email:send"])
        narrow(developer, agent, ["email:read"])
        page = browser.get(f"/consent/{consent}")
        assert [one.scope.id for one in choices_in(page, "required")] == ["email:read"]
        path = f"/consent/{consent}/approve"
        problem(ada.post(path, {"scopes": ["email:read", "email:send"]}), 400, "invalid_scope")
        assert expect(200, ada.post(path))["grantedScopes"] == ["email:read"]
        assert [one["id"] for one in log(ada)["metadata"]["shownScopes"]] == ["email:read"]

    def test_make_the_page_appear_again_if_removed_after_it_was_shown(
        self, agent: Json, developer: Api, browser: Any
    ) -> None:
        consent = initiate(agent, requestedScopes=["email:read", "email:send"])
        browser.get(f"/consent/{consent}")
        narrow(developer, agent, ["email:read"])
        form = {"decision": "allow", "connection": "", "scopes": ["email:read", "email:send"]}
        page = browser.post(f"/consent/{consent}", form)
        assert page.status_code == 409
        assert "has changed since you opened this page" in page.content.decode()

    def test_leave_nothing_to_allow_if_all_are_removed(
        self, agent: Json, ada: Any, developer: Api, browser: Any
    ) -> None:
        consent = initiate(agent, requestedScopes=["email:send"])
        narrow(developer, agent, ["email:read"])
        page = browser.get(f"/consent/{consent}")
        assert page.status_code == 400
        assert "No requested scope can be allowed any longer" in page.content.decode()
        problem(ada.post(f"/consent/{consent}/approve"), 400, "invalid_scope")


def test_approving_does_not_change_the_requested_scopes(agent: Json, ada: Any, developer: Api) -> None:
    tokens_for(agent, ada, requestedScopes=["email:read"])
    consent = initiate(agent, requestedScopes=["email:send"])
    expect(200, ada.post(f"/consent/{consent}/approve"))
    for reader in (ada, developer):
        shown = expect(200, reader.get(f"/consent/{consent}"))["requestedScopes"]
        assert [one["id"] for one in shown] == ["email:send"]


class TestServiceWithANewOwner:
    def test_cannot_be_allowed_through_the_api(self, agent: Json, ada: Any, developer: Api, rival: Api) -> None:
        body = {"name": "Mail", "identifier": "https://mail.example/api", "scopes": ["email:read"]}
        server = expect(201, rival.post("/resource-servers", body))
        consent = initiate(agent, requestedScopes=["email:read"], resource=body["identifier"])
        assert rival.delete(f"/resource-servers/{server['id']}").status_code == 204
        problem(ada.post(f"/consent/{consent}/approve"), 400, "invalid_target")
        ReservedIdentifier.objects.all().delete()
        expect(201, developer.post("/resource-servers", body))
        answer = problem(ada.post(f"/consent/{consent}/approve"), 400, "invalid_target")
        assert "https://mail.example/api" in answer["detail"]

    def test_can_be_allowed_if_the_same_organization_registers_it_again(
        self, agent: Json, ada: Any, rival: Api
    ) -> None:
        body = {"name": "Mail", "identifier": "https://mail.example/api", "scopes": ["email:read"]}
        server = expect(201, rival.post("/resource-servers", body))
        consent = initiate(agent, requestedScopes=["email:read"], resource=body["identifier"])
        rival.delete(f"/resource-servers/{server['id']}")
        expect(201, rival.post("/resource-servers", body))
        expect(200, ada.post(f"/consent/{consent}/approve"))

    def test_cannot_be_allowed_on_the_page(self, agent: Json, browser: Any, developer: Api, rival: Api) -> None:
        body = {"name": "Mail", "identifier": "https://mail.example/api", "scopes": ["email:read"]}
        server = expect(201, rival.post("/resource-servers", body))
        consent = initiate(agent, requestedScopes=["email:read"], resource=body["identifier"])
        rival.delete(f"/resource-servers/{server['id']}")
        ReservedIdentifier.objects.all().delete()
        expect(201, developer.post("/resource-servers", body))
        assert browser.get(f"/consent/{consent}").status_code == 400


def test_the_id_of_a_replaced_consent_revokes_the_current_one(agent: Json, ada: Any) -> None:
    first, second, third = (tokens_for(agent, ada) for _ in range(3))
    answers = [expect(200, ada.post(f"/users/me/consents/{one['consentId']}/revoke")) for one in (first, second, third)]
    assert {(one["id"], one["status"]) for one in answers} == {(third["consentId"], "revoked")}
    assert len({one["revokedAt"] for one in answers}) == 1
    for token in (first, second, third):
        assert verify(token["accessToken"])["reason"] == "consent_revoked"
