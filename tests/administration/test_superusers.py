"""Only superusers may act on superusers, and no other administrator can become one."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from accounts.models import User
from audit.readers.reading import read_entry
from tests.administration.test_actions import confirm
from tests.administration.test_edits import edit, page_url
from tests.administration.test_pages import form_url, list_url
from tests.administration.world import World, sign_in, staff
from tests.log import log_entries
from tests.shared import cases

USERS = ("accounts.view_user", "accounts.change_user")
GROUPS = ("auth.view_group", "auth.add_group", "auth.change_group", "auth.delete_group")


@pytest.fixture
def clerk(world: World) -> User:
    """An administrator who has all permissions on users and groups but is not a superuser."""
    return staff(*USERS, "accounts.add_user", "accounts.delete_user", *GROUPS)


@pytest.fixture
def office(clerk: User) -> Client:
    return sign_in(clerk)


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def test_other_administrators_cannot_deactivate_a_superuser(office: Client, world: World) -> None:
    answer = confirm(office, world.administrator, "deactivate")

    assert fresh(world.administrator).is_active
    assert "Only a superuser may act on a superuser" in answer.content.decode()


def test_acting_on_all_users_skips_superusers_and_oneself(office: Client, clerk: User, world: World) -> None:
    data = {"action": "deactivate", "_selected_action": world.ada.pk, "select_across": "1"}

    office.post(list_url(User), {**data, "confirmed": "yes", "reason": "Clean up."})

    assert not fresh(world.ada).is_active
    assert fresh(world.administrator).is_active
    assert fresh(clerk).is_active
    refused = log_entries(event="administration.refused")
    assert {read_entry(one).content["metadata"]["row"] for one in refused} == {world.administrator.pk, clerk.pk}


def test_other_administrators_cannot_reactivate_a_superuser(office: Client, world: World) -> None:
    User.objects.filter(pk=world.administrator.pk).update(is_active=False)

    confirm(office, world.administrator, "reactivate")

    assert not fresh(world.administrator).is_active


def test_a_superuser_can_act_on_superusers(site: Client, world: World) -> None:
    other = User.objects.create_superuser("second@example.com", "a-long-enough-passphrase")

    confirm(site, other, "deactivate")

    assert not fresh(other).is_active


@cases("name", ["administrator", "ada", "clerk"])
def test_other_administrators_cannot_edit_users_or_permissions(
    name: str, office: Client, clerk: User, world: World
) -> None:
    target = clerk if name == "clerk" else getattr(world, name)
    before = User.objects.filter(pk=target.pk).values()[0]
    everything = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
    data = {"name": "Mallory", "is_staff": "on", "is_superuser": "on", "user_permissions": everything}

    assert office.post(form_url(target), data).status_code == 403
    assert edit(office, target, **data).status_code == 403

    assert User.objects.filter(pk=target.pk).values()[0] == before
    assert set(target.user_permissions.all()) == set(fresh(target).user_permissions.all())
    assert page_url(User, "edit", target.pk) not in office.get(form_url(target)).content.decode()


def test_other_administrators_cannot_add_or_delete_users(office: Client, world: World) -> None:
    assert office.post(reverse("admin:accounts_user_add"), {"email": "new@example.com"}).status_code == 403
    delete = reverse("admin:accounts_user_delete", args=[world.administrator.pk])
    assert office.post(delete, {"post": "yes"}).status_code == 403
    assert fresh(world.administrator)


def test_no_page_sets_another_users_password(office: Client, site: Client, world: World) -> None:
    path = f"/admin/accounts/user/{world.administrator.pk}/password/"
    before = world.administrator.password

    for browser in (office, site):
        answer = browser.post(path, {"password1": "mallorys-passphrase", "password2": "mallorys-passphrase"})
        assert answer.status_code in (302, 404)

    assert fresh(world.administrator).password == before


def test_other_administrators_cannot_edit_groups_not_even_their_own(office: Client, clerk: User) -> None:
    group = Group.objects.create(name="Clerks")
    clerk.groups.add(group)
    data = {"name": "Clerks", "permissions": [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]}

    assert edit(office, group, **data).status_code == 403
    assert office.post(page_url(Group, "new"), {**data, "name": "New", "reason": "x"}).status_code == 403
    assert office.get(list_url(Group)).status_code == 403

    assert not group.permissions.exists()
    assert not Group.objects.filter(name="New").exists()
