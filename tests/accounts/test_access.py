"""Rights of administrators: two superusers who demote each other, and refusals of the services."""

import pytest
from django.contrib.auth.models import Group

from accounts.access import change_access, delete_role, save_role
from accounts.errors import NotSuperuser, OwnAccess
from accounts.models import User
from core.actor import Actor
from core.errors import DomainError, Invalid
from tests.constants import PASSWORD
from tests.log import log_entries
from tests.threads import race


def superuser(name: str) -> User:
    return User.objects.create_superuser(f"{name}@example.com", PASSWORD)


def demote(editor: User, user: User) -> User:
    actor = Actor("administrator", editor.id)
    return change_access(actor=actor, user=user, is_staff=False, is_superuser=False, roles=[], reason="Left.")


@pytest.mark.django_db(transaction=True)
def test_superusers_who_demote_each_other_leave_one() -> None:
    one, other = superuser("one"), superuser("other")

    outcomes = race([lambda: demote(one, other), lambda: demote(other, one)])

    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
    assert isinstance(refused, NotSuperuser)
    assert User.objects.filter(is_superuser=True).count() == 1
    assert log_entries(event="user.access_changed").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_role_is_deleted_once() -> None:
    role, actor = Group.objects.create(name="Clerks"), Actor("administrator", superuser("one").id)

    outcomes = race([lambda: delete_role(actor=actor, role=role, reason="Unused.")] * 2)

    assert sorted(outcomes) == [False, True]
    assert log_entries(event="staff_role.deleted").count() == 1


@pytest.mark.django_db
def test_administrators_cannot_change_their_own_rights() -> None:
    one = superuser("one")
    with pytest.raises(OwnAccess):
        demote(one, one)


@pytest.mark.django_db
def test_an_administrator_who_lost_the_rights_changes_none() -> None:
    one, other = superuser("one"), superuser("other")
    User.objects.filter(pk=one.pk).update(is_active=False)
    with pytest.raises(NotSuperuser):
        demote(one, other)


@pytest.mark.django_db
def test_a_role_needs_a_name() -> None:
    with pytest.raises(Invalid):
        save_role(actor=Actor("administrator"), role=None, name="\u200b", permissions=[], reason="New.")
