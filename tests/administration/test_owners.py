"""Administrators who are not superusers act neither on rows of superusers, nor on their own or their organization's."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client

from accounts.models import User
from agents.models import Agent
from audit.readers.reading import read_entry
from core import clock
from developers.models import Developer, Organization
from policies.models import Policy
from tests.administration.test_actions import confirm
from tests.administration.test_edits import edit, page_url
from tests.administration.test_pages import MODELS, form_url, name_of
from tests.administration.world import World, sign_in, staff
from tests.log import log_entries
from tests.shared import cases

STOP = {"confirmed": "yes", "reason": "It sent spam."}

OWNED = [
    ("developer", "consent", "revoke"),
    ("developer", "family", "revoke"),
    ("developer", "agent", "stop"),
    ("developer", "organization", "suspend"),
    ("developer", "organization", "verify"),
    ("developer", "policy", "disable"),
    ("ada", "consent", "revoke"),
    ("ada", "family", "revoke"),
    ("ada", "agent", "stop"),
]


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


@cases(("owner", "name", "action"), OWNED)
def test_rows_of_superusers_are_not_changed(owner: str, name: str, action: str, office: Client, world: World) -> None:
    row = row_of(world, name)
    is_theirs = owner == "developer" or name in ("consent", "family")
    promote(world.ada if owner == "ada" else world.developer.user)
    before = state(row)

    answer = confirm(office, row, action)

    assert (state(row) == before) is is_theirs
    assert (
        "Only a superuser may act on a superuser or on what belongs to a superuser" in answer.content.decode()
    ) is is_theirs


@cases(("owner", "name", "action"), OWNED)
def test_administrators_do_not_act_on_what_is_their_own(owner: str, name: str, action: str, world: World) -> None:
    """Neither from the row's page, which says why, nor by a direct POST, nor among selected rows. All are logged."""
    row, user = row_of(world, name), world.ada if owner == "ada" else world.developer.user
    is_theirs = owner == "developer" or name in ("consent", "family")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.add(Group.objects.get(name="Trust and safety"))
    office, before = sign_in(user), state(row)
    path = page_url(type(row), "act", row.pk, action)

    html = office.get(form_url(row)).content.decode()
    assert ("another administrator must act on it" in html) is (path not in html) is is_theirs
    if is_theirs:
        assert office.get(path).status_code == office.post(path, STOP).status_code == 403
        assert "another administrator must act on it" in confirm(office, row, action).content.decode()
        refused = log_entries(event="administration.refused")
        assert [read_entry(one).content["metadata"]["row"] for one in refused] == [row.pk] * 2
        assert state(row) == before
    else:
        assert "1 row changed." in confirm(office, row, action).content.decode()


def test_administrators_do_not_edit_their_own_agent(world: World) -> None:
    user = world.developer.user
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.add(Group.objects.get(name="Trust and safety"))
    office = sign_in(user)
    assert "another administrator must act on it" in edit(office, world.agent, name="Mallory").content.decode()
    assert page_url(Agent, "edit", world.agent.pk) not in office.get(form_url(world.agent)).content.decode()
    assert state(world.agent)["name"] == "SmartMail"


def test_administrators_cannot_act_on_their_own_account_and_their_page_says_so(site: Client, world: World) -> None:
    row = world.administrator
    html = site.get(form_url(row)).content.decode()
    assert "This is your own account" in html
    for action in ("deactivate", "remove_factors"):
        path = page_url(User, "act", row.pk, action)
        assert path not in html
        assert site.post(path, STOP).status_code == 403
        assert "This is your own account" in confirm(site, row, action).content.decode()
    assert page_url(User, "edit", row.pk) not in html
    assert User.objects.get(pk=row.pk).is_active


def test_a_superuser_can_act_on_them(site: Client, world: World) -> None:
    promote(world.developer.user)
    confirm(site, world.agent, "stop")
    assert state(world.agent)["stopped_at"]


def test_a_superusers_agent_cannot_be_edited(office: Client, world: World) -> None:
    promote(world.developer.user)
    assert edit(office, world.agent, name="Mallory").status_code == 403
    assert state(world.agent)["name"] == "SmartMail"


def test_what_a_past_member_left_belongs_to_them_no_longer(office: Client, world: World) -> None:
    user = world.developer.user
    Developer.objects.create(user=user, organization=world.developer.organization, ended_at=clock.now())
    promote(user)
    assert edit(office, world.agent, name="Mallory").status_code == 403
    Developer.objects.update(ended_at=clock.now())
    edit(office, world.agent, name="Mallory")
    assert state(world.agent)["name"] == "Mallory"


def test_the_page_of_a_superusers_row_offers_no_action(office: Client, world: World) -> None:
    path = page_url(Agent, "act", world.agent.pk, "stop")
    assert path in office.get(form_url(world.agent)).content.decode()
    promote(world.developer.user)
    assert path not in office.get(form_url(world.agent)).content.decode()
    assert office.get(path).status_code == 403


@cases("model", MODELS, ids=name_of)
def test_every_page_declares_the_owners_of_its_rows(model: type[Model]) -> None:
    """Without them, other administrators could act on rows of superusers."""
    owners = admin.site._registry[model].owners
    for field in model._meta.fields:
        if field.related_model is get_user_model():
            assert field.name in owners
        if field.related_model is Organization:
            assert f"{field.name}__developers__user" in owners
