"""Only a few fields can be edited, and only through the services."""

import json
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts.models import User
from agents.models import Agent
from policies.models import Policy
from tests.admin.test_pages import MODELS, form_url, name_of
from tests.admin.world import World, staff
from tests.log import log_entries
from tests.world import sign_in

ADDABLE = {Policy}
EDITABLE = {Policy, Agent, User}
RULES = [{"type": "rate_limit", "config": {"maxRequests": 5, "windowSeconds": 60, "scope": "per_user"}}]


def page_url(model: type[Model], page: str) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")


@pytest.mark.parametrize("model", [model for model in MODELS if model not in ADDABLE], ids=name_of)
def test_other_models_cannot_be_added(model: type[Model], site: Client, world: World) -> None:
    assert site.get(page_url(model, "add")).status_code == 403
    assert site.post(page_url(model, "add"), {}).status_code == 403


@pytest.mark.parametrize("model", [model for model in MODELS if model not in ADDABLE], ids=name_of)
def test_other_models_cannot_be_deleted(model: type[Model], site: Client, world: World) -> None:
    row = model._default_manager.all()[0]
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_delete", args=[row.pk])

    assert site.post(url, {"post": "yes"}).status_code == 403
    assert "delete_selected" not in admin.site._registry[model].get_actions(site.get("/admin/").wsgi_request)


@pytest.mark.parametrize("model", [model for model in MODELS if model not in EDITABLE], ids=name_of)
def test_other_models_cannot_be_edited(model: type[Model], site: Client, world: World) -> None:
    assert site.post(form_url(model._default_manager.all()[0]), {}).status_code == 403


def test_only_the_texts_of_an_agent_can_be_edited(site: Client, world: World) -> None:
    data = {"name": "SmartMail (test)", "description": "", "status": "suspended", "allowed_scopes": "[]"}

    site.post(form_url(world.agent), data)

    agent, entry = Agent.objects.get(pk=world.agent.pk), log_entries()[0]
    assert (agent.name, agent.status) == ("SmartMail (test)", "active")
    assert agent.allowed_scopes == ["email:read", "email:send"]
    assert (entry.event, entry.content["actor"]["kind"]) == ("agent.updated", "administrator")


def test_a_user_can_be_given_access_to_the_site_and_nothing_else_changes(site: Client, world: World) -> None:
    data = {"name": "Ada L.", "is_staff": "on", "is_active": "", "email": "mallory@example.com"}

    site.post(form_url(world.ada), data)

    ada = User.objects.get(pk=world.ada.pk)
    assert (ada.name, ada.is_staff, ada.is_active, ada.email) == ("Ada L.", True, True, "ada@example.com")


def test_a_password_set_while_the_form_is_saved_is_kept(
    site: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = User.save

    def overtaken(user: User, **arguments: Any) -> None:
        User.objects.filter(pk=user.pk).update(password="chosen meanwhile")
        save(user, **arguments)

    monkeypatch.setattr(User, "save", overtaken)
    site.post(form_url(world.ada), {"name": "Ada L.", "is_staff": "on"})

    ada = User.objects.get(pk=world.ada.pk)
    assert (ada.name, ada.is_staff, ada.password) == ("Ada L.", True, "chosen meanwhile")


def test_administrators_cannot_make_themselves_superusers(world: World) -> None:
    user = staff("accounts.view_user", "accounts.change_user")

    answer = sign_in(user).post(form_url(user), {"name": "", "is_staff": "on", "is_superuser": "on"})

    assert answer.status_code == 403
    assert not User.objects.get(pk=user.pk).is_superuser


def policy_data(world: World, **fields: str) -> dict[str, str]:
    organization = world.developer.organization_id
    return {"organization": organization, "name": "Five", "enabled": "on", "rules": json.dumps(RULES), **fields}


def test_policies_are_added_edited_and_deleted_through_the_services(site: Client, world: World) -> None:
    site.post(page_url(Policy, "add"), policy_data(world))
    policy = Policy.objects.get(name="Five")
    assert policy.organization_id == world.developer.organization_id

    site.post(form_url(policy), policy_data(world, name="Six"))
    policy.refresh_from_db()
    assert (policy.name, policy.version) == ("Six", 2)

    site.post(reverse("admin:policies_policy_delete", args=[policy.pk]), {"post": "yes"})
    entries = list(log_entries()[:3])
    assert [entry.event for entry in entries] == ["policy.deleted", "policy.updated", "policy.created"]
    assert {entry.content["actor"]["kind"] for entry in entries} == {"administrator"}


def test_several_policies_are_deleted_through_the_service(site: Client, world: World) -> None:
    policy = Policy.objects.all()[0]

    site.post(
        reverse("admin:policies_policy_changelist"),
        {"action": "delete_selected", "_selected_action": policy.pk, "post": "yes"},
    )

    assert not Policy.objects.exists()
    assert log_entries()[0].event == "policy.deleted"


def test_invalid_rules_are_refused_with_their_field(site: Client, world: World) -> None:
    rules = json.dumps([{"type": "rate_limit", "config": {"maxRequests": 0, "windowSeconds": 60, "scope": "x"}}])

    html = site.post(page_url(Policy, "add"), policy_data(world, rules=rules)).content.decode()

    assert "rules.0.config.maxRequests" in html
    assert not Policy.objects.filter(name="Five").exists()


def test_an_unknown_action_is_refused_with_its_field(site: Client, world: World) -> None:
    rules = json.dumps([{"type": "action_blocklist", "config": {"actions": ["payment:charge"]}}])

    html = site.post(page_url(Policy, "add"), policy_data(world, rules=rules)).content.decode()

    assert "rules.0.config.actions.0" in html
    assert "payments:charge" in html
    assert not Policy.objects.filter(name="Five").exists()


def test_an_agent_of_another_organization_is_refused(site: Client, world: World) -> None:
    stranger = Agent.objects.create(name="Other", client_type="public", authorization_grant_type="authorization-code")

    html = site.post(page_url(Policy, "add"), policy_data(world, agent=stranger.pk)).content.decode()

    assert "belongs to another organization" in html
    assert not Policy.objects.filter(name="Five").exists()


@pytest.mark.parametrize(
    "rules",
    [
        "[" * 100_000,
        "9" * 5000,
        f"[{'9' * 5000}]",
        '["\\ud800"]',
        '[{"type": "\\ud800", "config": {}}]',
        '[{"type": "action_blocklist", "config": {"actions": ["\\ud800"]}}]',
        '[{"\\ud800": 1}]',
        "NaN",
        '[{"type": "rate_limit", "config": {"maxRequests": 1e400, "windowSeconds": 1, "scope": "global"}}]',
        "{",
        "",
    ],
    ids=range(11),
)
def test_malformed_rules_are_a_form_error(rules: str, site: Client, world: World) -> None:
    data = {"organization": world.developer.organization.pk, "name": "P", "rules": rules, "enabled": "on"}

    for url in (page_url(Policy, "add"), form_url(Policy.objects.get())):
        answer = site.post(url, data)
        assert (answer.status_code, bool(answer.context["adminform"].form.errors["rules"])) == (200, True)

    assert Policy.objects.count() == 1
