"""The search over all kinds of rows: by id, address and name, in few queries, and never by a secret."""

import re
from html import unescape
from typing import Any
from unittest.mock import patch

from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from administration.search import MODELS, SECRET
from audit.sequencing.sequencer import sequence
from core import clock
from core.ids import new_id
from developers.models import Developer, Organization
from resources.models import ResourceServer
from tests.administration.test_pages import MAX_QUERIES, form_url
from tests.administration.test_roles import OPERATIONS, member
from tests.administration.world import World, sign_in, staff
from tests.log import log_entries
from tests.shared import cases

PAGE = "/admin/search/"


def result(site: Client, text: str) -> str:
    answer = site.get(PAGE, {"q": text})
    assert answer.status_code == 200
    return str(answer.content.decode().split("<main")[1])


@cases("model", MODELS, ids=lambda model: model._meta.label)
def test_an_id_leads_to_its_row(model: Any, site: Client, world: World) -> None:
    row = model._default_manager.order_by("pk")[0]
    with CaptureQueriesContext(connection) as queries:
        html = result(site, str(row.pk))
    assert f'href="{form_url(row)}"' in html
    assert len(queries) <= MAX_QUERIES


@cases("text", ["ada@example.com", "ADA@example.com", "ada@ex", "artMa", "smartmail", "acme", "agc"])
def test_addresses_names_and_client_ids_are_found(text: str, site: Client, world: World) -> None:
    expected = {
        "smartmail": world.agent,
        "artMa": world.agent,
        "acme": world.developer.organization,
        "agc": world.agent,
    }
    sought = world.agent.client_id if text == "agc" else text
    with CaptureQueriesContext(connection) as queries:
        html = result(site, f" {sought} ")
    assert form_url(expected.get(text, world.ada)) in html
    assert len(queries) <= MAX_QUERIES


@cases("text", ["ada@example.com", "Ada"])
def test_a_person_comes_first_with_what_they_have(text: str, site: Client, world: World) -> None:
    html = result(site, text)
    person = html[html.index("found-1") :]
    assert person.index(form_url(world.ada)) < person.index("Live consents: ")
    (url,) = re.findall(r'Live consents: <a href="([^"]+)">1</a>', person)
    assert len(site.get(unescape(url)).context["cl"].result_list) == 1
    developer = result(site, world.developer.user.email)
    assert f'href="{form_url(world.developer.organization)}"' in developer[: developer.index("</section>")]


def test_someone_who_joined_again_has_the_organization_once(site: Client, world: World) -> None:
    user, organization = world.developer.user, world.developer.organization
    Developer.objects.create(user=user, organization=organization, ended_at=clock.now())
    for text in (user.email, user.id):
        answer = site.get(PAGE, {"q": text})
        assert answer.content.decode().count("Member of") == 1
        (found,) = (one for one in answer.context["results"].found if one.page.model is Organization)
        assert found.rows == [organization]


def test_a_person_is_found_by_the_whole_name_however_old_the_account_is(site: Client, world: World) -> None:
    with patch("administration.base.NEWEST", 0):
        assert form_url(world.ada) in result(site, "ada")
        assert form_url(world.ada) not in result(site, "ada@ex")


def test_what_a_person_has_needs_its_own_permission(world: World) -> None:
    html = result(sign_in(staff("accounts.view_user")), world.ada.email)
    assert form_url(world.ada) in html
    assert "Live consents" not in html


def test_log_entries_are_found_by_id_and_by_request(site: Client, world: World) -> None:
    request_id = new_id("req")
    path = f"{form_url(world.agent).removesuffix('change/')}edit/"
    site.post(path, {"name": "Renamed", "reason": "Typo."}, headers={"X-Request-Id": request_id})
    entry = log_entries()[0]
    assert entry.event == "agent.updated"
    for _ in ("in the journal", "in the log"):
        for text in (entry.id, request_id):
            with CaptureQueriesContext(connection) as queries:
                assert form_url(entry) in result(site, text)
            assert len(queries) <= MAX_QUERIES
        sequence()
    assert form_url(entry) not in result(site, new_id("req"))


def test_a_secret_is_neither_searched_for_nor_repeated(site: Client, world: World) -> None:
    secrets = {one for one in world.shown if SECRET.fullmatch(one)}
    assert len(secrets) >= len(world.shown) - 1  # all but the password
    for secret in secrets:
        html = site.get(PAGE, {"q": secret}).content.decode()
        assert "This looks like a secret" in html
        assert secret not in html


def test_the_id_of_a_secret_leads_to_its_owner(site: Client, world: World) -> None:
    server = ResourceServer.objects.get()
    owners = [
        (world.agent.secrets.get(), world.agent),
        (server.secrets.get(), server),
        (world.developer.api_keys.get(), world.developer.organization),
    ]
    for secret, owner in owners:
        assert form_url(owner) in result(site, secret.pk)


def test_domains_and_dotted_names_are_searched_for(site: Client, world: World) -> None:
    Organization.objects.filter(pk=world.developer.organization_id).update(domain="acme.co.uk")
    User.objects.filter(pk=world.ada.pk).update(name="J.R.Tolkien")
    assert form_url(world.developer.organization) in result(site, "acme.co.uk")
    assert form_url(world.ada) in result(site, "J.R.Tolkien")
    assert SECRET.fullmatch("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln")


NOWHERE = ["", " ", "nobody", "usr_0", "log_x", "req_" + "f" * 32, "%", "x" * 5000, "\u202e", "a.b.c"]


@cases("text", NOWHERE)
def test_other_texts_find_nothing(text: str, site: Client, world: World) -> None:
    assert "found-" not in result(site, text)


def test_a_search_without_results_says_what_was_searched(site: Client, world: World) -> None:
    assert "For a name, enter at least three characters." in result(site, "zz")
    operations = result(sign_in(member(OPERATIONS)), world.ada.email)
    assert "Your roles let you search these: Signing keys" in operations
    assert "People" not in operations.split("let you search these")[1]
    without_role = result(sign_in(staff()), world.ada.email)
    assert "Your roles do not let you search anything." in without_role


def test_what_is_searched_for_belongs_to_the_site() -> None:
    assert set(MODELS) <= set(admin.site._registry)
