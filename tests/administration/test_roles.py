"""What administrators with each role can see and do, and what they cannot: every URL and action of the site.

A new model, action or page fails these tests until it has a row in the tables below.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver

from accounts.models import User
from agents.models import EmergencyStop
from audit.events import Outcome
from audit.models import Entry
from audit.readers.reading import read_entry
from tests.administration.test_edits import page_url
from tests.administration.test_pages import form_url, list_url, name_of
from tests.administration.world import World, sign_in, staff
from tests.audit.journals import decision as decided
from tests.audit.journals import write_drafts
from tests.constants import PASSWORD
from tests.log import log_entries
from tests.shared import cases, unrendered

REASON, REFUSED = "The role permits it.", "administration.refused"
SUPPORT, SAFETY, OPERATIONS = ROLES = "Support", "Trust and safety", "Operations"
READ = {SUPPORT, SAFETY}
# Who may read the rows of each model.
READERS = {
    "accounts.User": READ,
    "accounts.SessionToken": READ,
    "account.EmailAddress": READ,
    "developers.Organization": READ,
    "developers.Developer": READ,
    "resources.ResourceServer": READ,
    "resources.CustomScope": READ,
    "agents.Agent": READ,
    "policies.Policy": READ,
    "consent.Consent": READ,
    "approvals.Approval": READ,
    "tokens.TokenFamily": READ,
    "tokens.Delegation": READ,
    "audit.Entry": READ,
    "tokens.SigningKey": {OPERATIONS},
    "core.TaskRun": {OPERATIONS},
    "auth.Group": set(),
}
# Who may use each action and form. Superusers may use all.
ACTORS = {
    ("accounts.User", "deactivate"): {SAFETY},
    ("accounts.User", "reactivate"): {SAFETY},
    ("accounts.User", "remove_factors"): set(),
    ("accounts.User", "edit"): set(),
    ("developers.Organization", "suspend"): {SAFETY},
    ("developers.Organization", "reactivate"): {SAFETY},
    ("developers.Organization", "verify"): {SAFETY},
    ("developers.Organization", "unverify"): {SAFETY},
    ("developers.Organization", "decline"): {SAFETY},
    ("agents.Agent", "stop"): {SAFETY},
    ("agents.Agent", "lift_stop"): {SAFETY},
    ("agents.Agent", "review"): {SAFETY},
    ("agents.Agent", "edit"): {SAFETY},
    ("policies.Policy", "disable"): {SAFETY},
    ("policies.Policy", "enable"): {SAFETY},
    ("consent.Consent", "revoke"): {SAFETY},
    ("tokens.TokenFamily", "revoke"): {SAFETY},
    ("tokens.Delegation", "end"): {SAFETY},
    ("tokens.SigningKey", "rotate"): {OPERATIONS},
    ("auth.Group", "delete"): set(),
    ("auth.Group", "edit"): set(),
}
# Who may open each page that is no model's.
PAGES = {
    "index": (*ROLES,),
    "search": (*ROLES,),
    "emergency_stop": (),
}
# Django's own, which lead to our pages.
STOCK = {"login", "logout", "password_change", "password_change_done"}
OF_ROWS = {"changelist", "add", "delete", "change", "act", "edit", "proof", "new"}
CASES = [(role, model) for role in ROLES for model in admin.site._registry]


def actions_of(model: type[Model]) -> list[str]:
    return [action.__name__ for action in admin.site._registry[model].actions or ()]


def names_of_urls(patterns: Any) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from names_of_urls(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name


@pytest.fixture
def browsers(world: World) -> dict[str, Client]:
    """A browser for each role, whose administrator has just entered the password."""
    return {role: sign_in(member(role)) for role in ROLES}


@pytest.fixture
def homes(browsers: dict[str, Client]) -> dict[str, str]:
    """The first page of each role."""
    return {role: browser.get("/admin/").content.decode() for role, browser in browsers.items()}


def member(role: str) -> User:
    user = User.objects.create_user(f"{role.split()[0].lower()}@staff.example", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def row_of(model: type[Model], world: World) -> Any:
    """Return a row that belongs to no administrator."""
    rows = model._default_manager.all()
    return world.ada if model is User else rows[0]


def status(answer: HttpResponse) -> int:
    return int(answer.status_code)


def test_every_model_action_and_page_is_assigned() -> None:
    assert {model._meta.label for model in admin.site._registry} == set(READERS)
    acts = {(model._meta.label, name) for model in admin.site._registry for name in actions_of(model)}
    forms = {(model._meta.label, "edit") for model, page in admin.site._registry.items() if page.edit_form}
    assert acts | forms == set(ACTORS)
    models = {f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry}
    of_models = {f"{model}_{page}" for model in models for page in OF_ROWS}
    assert set(names_of_urls(admin.site.get_urls())) - of_models == set(PAGES) | STOCK


@pytest.mark.parametrize("page", PAGES)
def test_pages_open_for_their_roles(page: str, browsers: dict[str, Client], site: Client) -> None:
    path = "/admin/" if page == "index" else f"/admin/{page.replace('_', '-')}/"
    for role, browser in browsers.items():
        assert status(browser.get(path)) == (200 if role in PAGES[page] else 403), role
    assert status(site.get(path)) == 200


@cases("model", admin.site._registry, ids=name_of)
def test_rows_are_read_by_their_roles(
    model: type[Model], browsers: dict[str, Client], homes: dict[str, str], world: World
) -> None:
    row, page = row_of(model, world), admin.site._registry[model]
    for role, browser in browsers.items():
        expected = 200 if role in READERS[model._meta.label] else 403
        with unrendered():
            assert status(browser.get(list_url(model))) == expected, role
            assert status(browser.get(form_url(row))) == expected, role
            if page.shows_proof:
                # It was never stopped.
                assert status(browser.get(page_url(model, "proof", row.pk))) == {200: 404, 403: 403}[expected], role
        assert (list_url(model) in homes[role]) <= (expected == 200), role


@cases(("label", "name"), [key for key in ACTORS if key[1] != "edit"], ids=str)
def test_an_action_is_done_by_its_roles_and_refused_to_others(
    label: str, name: str, browsers: dict[str, Client], world: World
) -> None:
    (model,) = [one for one in admin.site._registry if one._meta.label == label]
    row, form = row_of(model, world), {"confirmed": "yes", "reason": REASON}
    path, logged = page_url(model, "act", row.pk, name), log_entries().count()
    listed = {"action": name, "_selected_action": row.pk, "select_across": "0", **form}
    for role, browser in browsers.items():
        if role in ACTORS[label, name]:
            continue
        assert status(browser.post(path, form)) == status(browser.post(list_url(model), listed)) == 403, role
        logged += 2
    if SUPPORT not in ACTORS[label, name]:
        assert status(browsers[SUPPORT].get(path)) == 403
        assert path not in browsers[SUPPORT].get(form_url(row)).content.decode()
    assert log_entries().count() == logged
    for entry in log_entries(event=REFUSED):
        said = read_entry(entry).content["metadata"]
        assert (entry.outcome, said["action"]) == ("denied", name)

    for role in ACTORS[label, name]:
        asked = browsers[role].get(path)
        assert status(asked) == 200
        assert status(browsers[role].post(path, {**form, "decided_on": asked.context["decided_on"]})) == 303
        entry = log_entries()[0]
        if log_entries().count() > logged:  # not if the row is already as the action makes it
            assert read_entry(entry).content["metadata"]["reason"] == REASON
            assert entry.content["actor"]["kind"] == "administrator"


@cases("label", [label for label, name in ACTORS if name == "edit"])
def test_a_form_is_used_by_its_roles_and_refused_to_others(
    label: str, browsers: dict[str, Client], world: World
) -> None:
    (model,) = [one for one in admin.site._registry if one._meta.label == label]
    row = row_of(model, world)
    path, logged = page_url(model, "edit", row.pk), log_entries().count()
    form = {"name": "Mallory", "is_staff": "on", "is_superuser": "on", "reason": REASON}
    for role, browser in browsers.items():
        if role in ACTORS[label, "edit"]:
            continue
        assert status(browser.get(path)) == status(browser.post(path, form)) == 403, role
        assert path not in browser.get(form_url(row)).content.decode()
    refused = list(log_entries().values_list("event", flat=True))[: log_entries().count() - logged]
    assert set(refused) == {REFUSED}

    for role in ACTORS[label, "edit"]:
        assert status(browsers[role].get(path)) == 200
        assert status(browsers[role].post(path, form)) == 303


def test_no_role_makes_roles_or_stops_everything(browsers: dict[str, Client], world: World) -> None:
    for browser in browsers.values():
        assert status(browser.post(page_url(Group, "new"), {"name": "New", "reason": REASON})) == 403
        assert status(browser.post("/admin/emergency-stop/", {"act": "stop", "reason": REASON})) == 403
    assert not Group.objects.filter(name="New").exists()
    assert not EmergencyStop.objects.exists()


@cases("role", ROLES)
def test_pages_that_join_show_only_what_the_role_reads(role: str, browsers: dict[str, Client], world: World) -> None:
    browser, ada = browsers[role], world.ada.email
    reads = role in READ
    assert (ada in browser.get("/admin/search/", {"q": ada}).content.decode().split("<main")[1]) is reads
    home = browser.get("/admin/").content.decode()
    assert ("Denied in the last hour" in home) is ("New agents" in home) is reads
    assert ("When background tasks last ran" in home) is (role == OPERATIONS)


def test_joined_rows_need_permissions_of_their_own(world: World) -> None:
    """A role that only superusers can make, which reads agents but neither consents nor the log."""
    role = Group.objects.create(name="Agents only")
    user = User.objects.create_user("agents@staff.example", PASSWORD, is_staff=True)
    user.groups.add(role)
    reading = Group.objects.get(name=SUPPORT).permissions.get(codename="view_agent")
    role.permissions.add(reading)

    html = sign_in(user).get(form_url(world.agent)).content.decode()

    assert "SmartMail" in html
    for words in (world.ada.email, "Recent log entries", "Consents", "Token families"):
        assert words not in html


def test_a_role_that_reads_only_the_log_sees_ids_in_place_of_names(world: World) -> None:
    fields = {"user_id": world.ada.id, "organization_id": world.developer.organization_id, "agent_id": world.agent.id}
    (entry,) = write_drafts([decided(**fields, outcome=Outcome.DENIED, reason="insufficient_scope")])
    browser = sign_in(staff("audit.view_entry"))
    pages = {
        "/admin/": [],
        list_url(Entry): list(fields.values()),
        form_url(Entry(pk=entry.id)): list(fields.values()),
        f"/admin/search/?q={entry.id}": list(fields.values()),
    }
    for path, ids in pages.items():
        html = browser.get(path).content.decode().split("<main")[1]
        for name in (world.ada.email, world.agent.name, "Acme"):
            assert name not in html, (path, name)
        for pk in ids:
            assert f"<code>{pk}</code>" in html, (path, pk)
        for url in re.findall(r'href="(/admin/[^"#]*)"', html):
            assert browser.get(unescape(url)).status_code == 200, (path, url)


def test_a_member_without_a_role_sees_nothing(world: World) -> None:
    user = User.objects.create_user("new@staff.example", PASSWORD, is_staff=True)
    assert "Your roles permit nothing here yet." in sign_in(user).get("/admin/").content.decode()


def test_the_migration_leaves_a_role_of_the_operator_alone(world: World) -> None:
    from importlib import import_module

    from django.apps import apps

    Group.objects.get(name=SUPPORT).permissions.clear()
    Group.objects.get(name=OPERATIONS).delete()
    import_module("accounts.migrations.0002_staff_roles").make_roles(apps, None)

    assert not Group.objects.get(name=SUPPORT).permissions.exists()
    assert Group.objects.get(name=OPERATIONS).permissions.count() == 3


def test_the_page_of_a_role_leads_to_its_members(site: Client, browsers: dict[str, Client]) -> None:
    for role in ROLES:
        html = site.get(form_url(Group.objects.get(name=role))).content.decode()
        (path,) = re.findall(r'href="(/admin/accounts/user/\?groups[^"]+)"', html)
        listed = site.get(path)
        assert [user.email for user in listed.context_data["cl"].result_list] == [
            f"{role.split()[0].lower()}@staff.example"
        ]
        assert status(browsers[SUPPORT].get(path)) == 400  # members of other roles do not read roles
