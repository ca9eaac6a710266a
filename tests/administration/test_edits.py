"""No row can be changed by Django's forms. Our own forms ask for a reason and save through a service."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts.models import User
from agents.models import Agent
from audit.readers.reading import read_entry
from policies.models import Policy
from tests.administration.test_actions import confirm
from tests.administration.test_pages import MODELS, form_url, list_url, name_of
from tests.administration.world import World, sign_in, staff
from tests.log import log_entries
from tests.shared import cases

REASON = "They asked for it."


def page_url(model: type[Model], page: str, *ids: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=ids)


def edit(site: Client, row: Model, **data: Any) -> Any:
    return site.post(page_url(type(row), "edit", row.pk), {"reason": REASON, **data})


def newest() -> tuple[str, str, dict[str, Any]]:
    """Return the event, the actor's kind and the metadata of the newest entry."""
    entry = log_entries()[0]
    return entry.event, entry.content["actor"]["kind"], read_entry(entry).content["metadata"]


@cases("model", [*MODELS, Group], ids=name_of)
def test_djangos_own_forms_write_nothing(model: type[Model], site: Client, world: World) -> None:
    Group.objects.get_or_create(name="Support")
    row = model._default_manager.all()[0]
    assert site.get(page_url(model, "add")).status_code == 403
    assert site.post(page_url(model, "add"), {}).status_code == 403
    assert site.post(page_url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert site.post(form_url(row), {}).status_code == 403
    assert "delete_selected" not in admin.site._registry[model].get_actions(site.get("/admin/").wsgi_request)


def test_only_the_texts_of_an_agent_can_be_edited(site: Client, world: World) -> None:
    data = {"name": "SmartMail (test)", "description": "", "status": "suspended", "allowed_scopes": "[]"}

    answer = edit(site, world.agent, **data)

    agent = Agent.objects.get(pk=world.agent.pk)
    assert answer["Location"] == form_url(world.agent)
    assert (agent.name, agent.status) == ("SmartMail (test)", "active")
    assert agent.allowed_scopes == ["email:read", "email:send"]
    event, actor, metadata = newest()
    assert (event, actor, metadata["reason"]) == ("agent.updated", "administrator", REASON)


@cases("reason", ["", " \u200b", "x" * 301])
def test_a_form_needs_a_reason_and_keeps_what_was_typed(reason: str, site: Client, world: World) -> None:
    answer = edit(site, world.agent, name="SmartMail 2", reason=reason)

    assert answer.status_code == 422
    assert 'value="SmartMail 2"' in answer.content.decode()
    assert Agent.objects.get(pk=world.agent.pk).name == "SmartMail"


def test_a_role_is_given_and_nothing_else_changes(site: Client, world: World) -> None:
    role = Group.objects.get_or_create(name="Support")[0]
    before = User.objects.filter(pk=world.ada.pk).values()[0]

    edit(site, world.ada, is_staff="on", groups=[role.pk], is_active="", email="mallory@example.com", name="Mallory")

    after = User.objects.filter(pk=world.ada.pk).values()[0]
    assert after == {**before, "is_staff": True}
    assert list(world.ada.groups.all()) == [role]
    event, actor, metadata = newest()
    assert (event, actor, metadata["reason"]) == ("user.access_changed", "administrator", REASON)
    assert metadata["before"] == {"administrator": False, "superuser": False, "roles": []}
    assert metadata["after"] == {"administrator": True, "superuser": False, "roles": ["Support"]}


def test_a_form_that_changes_nothing_is_not_logged(site: Client, world: World) -> None:
    logged = log_entries().count()
    for row, values in ((world.ada, {}), (world.agent, {"name": "SmartMail", "description": ""})):
        assert edit(site, row, **values).status_code == 303
        assert "Nothing was changed." in site.get(form_url(row)).content.decode()
    assert log_entries().count() == logged


def test_a_password_set_while_the_form_is_saved_is_kept(
    site: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = User.save

    def overtaken(user: User, **arguments: Any) -> None:
        User.objects.filter(pk=user.pk).update(password="chosen meanwhile")
        save(user, **arguments)

    monkeypatch.setattr(User, "save", overtaken)
    edit(site, world.ada, is_staff="on")

    ada = User.objects.get(pk=world.ada.pk)
    assert (ada.is_staff, ada.password) == (True, "chosen meanwhile")


@cases("right", ["groups", "is_superuser"])
def test_only_administrators_have_rights(right: str, site: Client, world: World) -> None:
    role = Group.objects.get_or_create(name="Support")[0]
    answer = edit(site, world.ada, **{right: str(role.pk)})
    assert answer.status_code == 422
    assert "Roles and superuser rights are for administrators only." in answer.content.decode()
    assert not User.objects.get(pk=world.ada.pk).is_superuser


def test_superusers_cannot_change_their_own_rights(site: Client, world: World) -> None:
    answer = edit(site, world.administrator)
    assert answer.status_code == 403
    assert "This is your own account" in answer.content.decode()
    assert User.objects.get(pk=world.administrator.pk).is_superuser


def test_administrators_cannot_make_themselves_superusers(world: World) -> None:
    user = staff("accounts.view_user", "accounts.change_user")

    answer = edit(sign_in(user), user, is_staff="on", is_superuser="on")

    assert answer.status_code == 403
    assert not User.objects.get(pk=user.pk).is_superuser


def test_a_role_is_created_changed_and_deleted(site: Client, world: World) -> None:
    view, stop = (Permission.objects.get(codename=f"{act}_agent").pk for act in ("view", "change"))
    data = {"name": "Clerks", "permissions": [view], "reason": REASON}

    site.post(page_url(Group, "new"), data)
    role = Group.objects.get(name="Clerks")
    assert newest()[0] == "staff_role.created"
    assert newest()[2] == {"role": "Clerks", "added": ["agents.view_agent"], "removed": [], "reason": REASON}

    edit(site, role, name="Clerks", permissions=[stop])
    assert newest()[0] == "staff_role.updated"
    assert newest()[2]["removed"] == ["agents.view_agent"]
    assert [one.codename for one in role.permissions.all()] == ["change_agent"]

    confirm(site, role, "delete")
    assert newest()[:2] == ("staff_role.deleted", "administrator")
    assert not Group.objects.filter(name="Clerks").exists()


def test_the_name_of_a_role_is_used_once(site: Client, world: World) -> None:
    Group.objects.get_or_create(name="Support")
    answer = site.post(page_url(Group, "new"), {"name": "Support", "reason": REASON})
    assert answer.status_code == 422
    assert "Another role has this name." in answer.content.decode()


def test_a_role_permits_only_what_the_site_has(site: Client, world: World) -> None:
    foreign = Permission.objects.get(codename="change_group")
    answer = site.post(page_url(Group, "new"), {"name": "New", "permissions": [foreign.pk], "reason": REASON})
    assert answer.status_code == 422
    assert not Group.objects.filter(name="New").exists()


def test_a_policy_is_read_in_sentences_and_switched_off_with_a_reason(site: Client, world: World) -> None:
    policy = Policy.objects.get()
    html = site.get(form_url(policy)).content.decode()
    assert "payments:*" in html.split("Rules as JSON")[0]

    confirm(site, policy, "disable")
    policy.refresh_from_db()
    assert (policy.enabled, policy.version) == (False, 2)
    event, actor, metadata = newest()
    assert (event, actor, metadata["changed"]) == ("policy.updated", "administrator", ["enabled"])
    assert metadata["reason"]

    confirm(site, policy, "enable")
    policy.refresh_from_db()
    assert policy.enabled


def test_after_a_row_is_deleted_its_list_follows(site: Client, world: World) -> None:
    role = Group.objects.create(name="Clerks")
    form = {"confirmed": "yes", "reason": REASON}
    answer = site.post(page_url(Group, "act", role.pk, "delete"), form, follow=True)
    assert answer.redirect_chain == [(list_url(Group), 303)]
    assert "1 row changed." in answer.content.decode()
