"""The user sees for which services an agent asks: on the consent screen, on the connection, in JSON and in the log."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils.html import strip_tags

from consent import shown_services
from consent.models import Consent
from developers.models import Developer, Organization
from resources.models import ResourceServer
from resources.services import update_resource_server
from tests.world import ANONYMOUS, allow, make_resource_server

MAIL, HOME = "https://api.mail.example:8443/v1", "https://home.acme.example"
FOREIGN = "An organization other than the agent\u2019s developer runs this service."

pytestmark = pytest.mark.django_db


@pytest.fixture
def mail(rival: Developer) -> ResourceServer:
    """A service of another organization than the agent's."""
    return make_resource_server(rival, MAIL).server


@pytest.fixture
def home(developer: Developer) -> ResourceServer:
    return make_resource_server(developer, HOME).server


def said(browser: Client, path: str) -> list[str]:
    """Return what the page says about services, one text for each."""
    page = browser.get(path).content.decode()
    lists = page.split("For use with", 1)[1].split("</div></li>")[0].split("</dd>")[0]
    return [" ".join(strip_tags(one).split()) for one in re.findall(r"<li>(.*?)</li>", lists, re.DOTALL)]


def test_the_screen_names_each_service_with_its_host_and_organization(
    as_ada: Client, ask: Any, mail: ResourceServer, home: ResourceServer
) -> None:
    consent = ask(resource=[MAIL, HOME])
    assert said(as_ada, f"/consent/{consent.id}") == [
        f"Service at api.mail.example:8443, a service of Rival Robotics {FOREIGN}",
        "Service at home.acme.example, a service of Acme Robotics",
    ]


def test_without_a_resource_it_is_for_the_services_of_the_developer(as_ada: Client, ask: Any) -> None:
    assert said(as_ada, f"/consent/{ask().id}") == ["All services of Acme Robotics, the agent\u2019s developer"]


def test_a_namesake_of_the_developer_is_another_organization(
    as_ada: Client, ask: Any, developer: Developer, rival: Developer
) -> None:
    Organization.objects.filter(pk=rival.organization_id).update(name=developer.organization.name)
    make_resource_server(Developer.objects.get(pk=rival.pk), MAIL)
    assert FOREIGN in said(as_ada, f"/consent/{ask(resource=[MAIL]).id}")[0]


def test_names_that_others_chose_are_set_apart(as_ada: Client, ask: Any, mail: ResourceServer) -> None:
    ResourceServer.objects.update(name="<b>Bank\u202e</b>")
    page = as_ada.get(f"/consent/{ask(resource=[MAIL]).id}").content.decode()
    assert '<bdi class="named">&lt;b&gt;Bank&lt;/b&gt;</bdi>' in page
    assert '<bdi class="named">Rival Robotics</bdi>' in page


def test_a_service_that_is_renamed_keeps_its_name_in_open_requests(
    as_ada: Client, ask: Any, ada: Any, mail: ResourceServer
) -> None:
    consent = ask(resource=[MAIL])
    update_resource_server(actor=ANONYMOUS, server=mail, name="Your bank")
    assert said(as_ada, f"/consent/{consent.id}")[0].startswith("Service at")
    allow(consent, ada)
    (entry,) = as_ada.get("/api/v1/users/me/audit-logs?event=consent.approved").json()["items"]
    assert entry["metadata"]["shownServices"] == consent.shown_services


def test_the_connection_has_the_services_of_all_its_requests(
    as_ada: Client, ask: Any, ada: Any, mail: ResourceServer, home: ResourceServer
) -> None:
    allow(ask(resource=[MAIL]), ada)
    later = ask(resource=[HOME])
    page = as_ada.get(f"/consent/{later.id}").content.decode()
    assert page.index("home.acme.example") < page.index("Stays connected with") < page.index("api.mail.example")
    allow(later, ada)
    assert [one.partition(",")[0] for one in said(as_ada, f"/connections/{later.id}")] == [
        "Service at home.acme.example",
        "Service at api.mail.example:8443",
    ]
    again = ask(resource=[HOME])
    allow(again, ada)
    assert len(said(as_ada, f"/connections/{again.id}")) == 2


def test_a_connection_names_a_bounded_number(
    ask: Any, ada: Any, mail: ResourceServer, home: ResourceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_services, "MAX_SERVICES", 1)
    allow(ask(resource=[MAIL]), ada)
    later = allow(ask(resource=[HOME]), ada)
    assert [one["identifier"] for one in Consent.objects.get(pk=later.pk).shown_services] == [HOME]


def test_json_has_them(as_ada: Client, ask: Any, ada: Any, mail: ResourceServer, home: ResourceServer) -> None:
    foreign = {
        "identifier": MAIL,
        "name": "Service",
        "host": "api.mail.example:8443",
        "organization": "Rival Robotics",
        "isForeign": True,
    }
    own = {
        "identifier": settings.API_URL,
        "name": "",
        "host": "localhost:8000",
        "organization": "Acme Robotics",
        "isForeign": False,
    }
    first, later = ask(resource=[MAIL]), ask()
    assert Client().get(f"/api/v1/consent/{first.id}").json()["audiences"] == [foreign]
    allow(first, ada)
    allow(later, ada)
    assert as_ada.get(f"/api/v1/consent/{later.id}").json()["audiences"] == [own]
    shown = {one["id"]: one["audiences"] for one in as_ada.get("/api/v1/users/me/consents").json()["items"]}
    assert shown[later.id] == [own, foreign]


def test_a_service_does_not_learn_from_the_log_which_others_the_user_uses(
    ask: Any, ada: Any, as_rival: Client, mail: ResourceServer, home: ResourceServer
) -> None:
    allow(ask(resource=[MAIL, HOME]), ada)
    (entry,) = as_rival.get("/api/v1/audit?event=consent.approved").json()["items"]
    assert HOME not in str(entry)
