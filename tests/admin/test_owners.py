"""Only superusers may act on rows that belong to a superuser or to a superuser's organization."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Model
from django.test import Client

from accounts.models import User
from agents.models import Agent
from developers.models import Organization
from policies.models import Policy
from tests.admin.test_actions import confirm
from tests.admin.test_edits import edit, page_url
from tests.admin.test_pages import MODELS, form_url, name_of
from tests.admin.world import World, sign_in, staff


@pytest.fixture
def office(world: World) -> Client:
    """The browser of an administrator who has all permissions but is not a superuser."""
    models = ("consent.{}_consent", "tokens.{}_tokenfamily", "developers.{}_organization", "agents.{}_agent")
    names = [model.format(act) for model in models for act in ("view", "change")]
    return sign_in(staff(*names, *(f"policies.{act}_policy" for act in ("view", "add", "change", "delete"))))


def promote(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_superuser=True)


def row_of(world: World, name: str) -> Any:
    rows: dict[str, Any] = {"consent": world.consent, "family": world.tokens.family, "agent": world.agent}
    rows |= {"policy": Policy.objects.get()} if name == "policy" else {}
    return rows.get(name, world.developer.organization)


def state(row: Model) -> Any:
    return type(row)._default_manager.filter(pk=row.pk).values()[0]


@pytest.mark.parametrize("owner", ["ada", "developer"])
@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("consent", "revoke"),
        ("family", "revoke"),
        ("agent", "stop"),
        ("organization", "suspend"),
        ("organization", "verify"),
        ("policy", "disable"),
    ],
)
def test_rows_of_superusers_are_not_changed(owner: str, name: str, action: str, office: Client, world: World) -> None:
    row = row_of(world, name)
    is_theirs = owner == "developer" or name in ("consent", "family")
    promote(world.ada if owner == "ada" else world.developer.user)
    before = state(row)

    answer = confirm(office, row, action)

    assert (state(row) == before) is is_theirs
    assert (
        "only a superuser may act on a superuser or on what belongs to a superuser" in answer.content.decode()
    ) is is_theirs


def test_a_superuser_can_act_on_them(site: Client, world: World) -> None:
    promote(world.developer.user)
    confirm(site, world.agent, "stop")
    assert state(world.agent)["stopped_at"]


def test_a_superusers_agent_cannot_be_edited(office: Client, world: World) -> None:
    promote(world.developer.user)
    assert edit(office, world.agent, name="Mallory").status_code == 403
    assert state(world.agent)["name"] == "SmartMail"


def test_the_page_of_a_superusers_row_offers_no_action(office: Client, world: World) -> None:
    path = page_url(Agent, "act", world.agent.pk, "stop")
    assert path in office.get(form_url(world.agent)).content.decode()
    promote(world.developer.user)
    assert path not in office.get(form_url(world.agent)).content.decode()
    assert office.get(path).status_code == 403


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_every_page_declares_the_owners_of_its_rows(model: type[Model]) -> None:
    """Without them, other administrators could act on rows of superusers."""
    owners = admin.site._registry[model].owners
    for field in model._meta.fields:
        if field.related_model is get_user_model():
            assert field.name in owners
        if field.related_model is Organization:
            assert f"{field.name}__developers__user" in owners
