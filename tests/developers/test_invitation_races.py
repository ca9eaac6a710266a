"""An invitation ends once, whoever comes at the same time."""

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from accounts.erasure import erase_user
from core import clock
from core.errors import DomainError
from developers.acting import as_developer
from developers.invitations import accept_invitation, decline_invitation, expire_invitations, invite, revoke_invitation
from developers.membership_errors import AlreadyMember, InvitationEnded, InvitationExpired
from developers.models import Developer, Invitation
from developers.organizations import create_organization
from developers.roles import Role
from tests.log import log_entries
from tests.threads import race, rounds
from tests.world import ANONYMOUS, as_user, make_invitation, make_verified

BOB = "bob@example.com"
pytestmark = pytest.mark.django_db(transaction=True)


def kinds(outcomes: list[Any]) -> Counter[str]:
    return Counter(type(one).__name__ if isinstance(one, DomainError) else "done" for one in outcomes)


@rounds(10)
def test_accepting_declining_revoking_and_expiring_are_one_end(developer: Developer, number: int) -> None:
    invitation, bob = make_invitation(developer, BOB), make_verified(BOB)
    if number % 2:  # it ends while they run
        Invitation.objects.update(expires_at=clock.now() + timedelta(milliseconds=5))
    given: dict[str, Any] = {"actor": as_user(bob), "user": bob, "invitation_id": invitation.id}
    revoke = partial(
        revoke_invitation,
        actor=as_developer(ANONYMOUS, developer),
        organization=developer.organization,
        invitation_id=invitation.id,
    )

    outcomes = race(
        [
            partial(accept_invitation, **given),
            partial(decline_invitation, **given),
            revoke,
            partial(accept_invitation, **given),
            expire_invitations,
        ]
    )

    status = Invitation.objects.get().status
    ends = log_entries(event__startswith="invitation.").exclude(event="invitation.created")
    assert [entry.event for entry in ends] == ([f"invitation.{status}"] if status != "pending" else [])
    assert Developer.objects.filter(user=bob).count() == (status == "accepted")
    succeeded = [one for one in outcomes[:4] if not isinstance(one, DomainError)]
    assert len(succeeded) == (status in ("accepted", "declined", "revoked"))
    refused = [one for one in outcomes[:4] if isinstance(one, DomainError)]
    assert all(isinstance(one, InvitationEnded | InvitationExpired) for one in refused)


@rounds(10)
def test_two_acceptances_make_one_member(developer: Developer, number: int) -> None:
    invitation, bob = make_invitation(developer, BOB), make_verified(BOB)
    given: dict[str, Any] = {"actor": as_user(bob), "user": bob, "invitation_id": invitation.id}
    assert kinds(race([partial(accept_invitation, **given)] * 3)) == {"done": 1, "InvitationEnded": 2}
    assert Developer.objects.filter(user=bob).count() == 1


@rounds(10)
def test_two_invitations_of_an_address_leave_one_open(developer: Developer, number: int) -> None:
    one = partial(
        invite,
        actor=as_developer(ANONYMOUS, developer),
        organization=developer.organization,
        email=BOB,
        role=Role.AUDITOR,
    )
    assert kinds(race([one] * 4)) == {"done": 3, "Throttled": 1}
    assert Counter(Invitation.objects.values_list("status", flat=True)) == {"pending": 1, "replaced": 2}


@rounds(10)
def test_an_acceptance_and_a_new_invitation_leave_one_member(developer: Developer, number: int) -> None:
    invitation, bob = make_invitation(developer, BOB), make_verified(BOB)
    again = partial(make_invitation, developer, BOB, Role.AUDITOR)
    accept = partial(accept_invitation, actor=as_user(bob), user=bob, invitation_id=invitation.id)
    outcomes = race([accept, again])
    has_joined = not isinstance(outcomes[0], DomainError)
    assert Developer.objects.filter(user=bob).count() == has_joined
    assert Invitation.objects.get(status="pending").pk == outcomes[1].pk
    if has_joined:
        with pytest.raises(AlreadyMember):
            accept_invitation(actor=as_user(bob), user=bob, invitation_id=outcomes[1].pk)


@rounds(5)
def test_a_user_is_never_a_member_of_more_than_the_most(
    developer: Developer, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("developers.invitations.MAX_MEMBERSHIPS", 1)
    monkeypatch.setattr("developers.organizations.MAX_MEMBERSHIPS", 1)
    invitation, bob = make_invitation(developer, BOB), make_verified(BOB)
    accept = partial(accept_invitation, actor=as_user(bob), user=bob, invitation_id=invitation.id)
    create = partial(create_organization, actor=as_user(bob), user=bob, name="Mine")
    assert kinds(race([accept, create, create])) == {"done": 1, "TooManyMemberships": 2}


@rounds(10)
def test_an_erasure_leaves_neither_a_member_nor_an_invitation(developer: Developer, number: int) -> None:
    invitation, bob = make_invitation(developer, BOB), make_verified(BOB)
    actor = as_developer(ANONYMOUS, developer)
    revoke = partial(revoke_invitation, actor=actor, organization=developer.organization, invitation_id=invitation.id)
    accept = partial(accept_invitation, actor=as_user(bob), user=bob, invitation_id=invitation.id)
    assert race([partial(erase_user, actor=as_user(bob), user=bob), revoke, accept, expire_invitations])[0] is True
    assert not Developer.objects.filter(user=bob, ended_at=None).exists()
    assert not Invitation.objects.exists()
