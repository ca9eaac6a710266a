"""Invitations: who may make, revoke and accept them, their limits and their end."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress

from accounts.erasure import erase_user
from accounts.models import Notice, User
from accounts.notices import send_notices
from core import clock
from core.actor import SYSTEM
from core.errors import Conflict, DomainError, NotFound, Throttled
from developers import invitations
from developers.acting import as_developer
from developers.errors import OrganizationDeleting, OrganizationSuspended
from developers.invitations import (
    accept_invitation,
    decline_invitation,
    open_invitations_of,
    open_invitations_to,
    revoke_invitation,
    revoke_invitations_by,
)
from developers.members import end_membership
from developers.membership_errors import (
    AlreadyMember,
    InvitationEnded,
    InvitationExpired,
    OrganizationClosed,
    TooManyMemberships,
)
from developers.models import Developer, Invitation, Organization
from developers.organizations import create_organization
from developers.roles import Role, RoleInsufficient
from developers.services import suspend_organization
from developers.tasks import sweep_invitations
from tests.constants import NOON
from tests.log import log_entries, log_entry
from tests.shared import cases
from tests.world import ANONYMOUS, as_user, make_developer, make_invitation, make_user, make_verified

pytestmark = pytest.mark.django_db
BOB = "bob@example.com"


def make_member(developer: Developer, role: Role, email: str = "cyd@example.com") -> Developer:
    return Developer.objects.create(user=make_user(email), organization=developer.organization, role=role)


def accept(user: User, invitation: Invitation) -> Developer:
    return accept_invitation(actor=as_user(user), user=user, invitation_id=invitation.id)


def decline(user: User, invitation: Invitation) -> Invitation:
    return decline_invitation(actor=as_user(user), user=user, invitation_id=invitation.id)


def revoke(developer: Developer, invitation: Invitation) -> None:
    actor = as_developer(ANONYMOUS, developer)
    revoke_invitation(actor=actor, organization=developer.organization, invitation_id=invitation.id)


def status_of(invitation: Invitation) -> str:
    return Invitation.objects.get(pk=invitation.pk).status


def events() -> list[str]:
    return [entry.event for entry in log_entries(event__startswith="invitation.").order_by("leaf_index")]


def test_the_owner_of_the_invited_address_joins_with_the_role(developer: Developer) -> None:
    invitation = make_invitation(developer, "BOB@Example.com", Role.ADMIN)
    assert (invitation.email, invitation.invited_by) == (BOB, developer)
    assert invitation.expires_at - invitation.created_at == timedelta(days=7)
    bob = make_verified(BOB)
    assert list(open_invitations_to(bob)) == [invitation]

    member = accept(bob, invitation)

    assert (member.user, member.organization, member.role) == (bob, developer.organization, "admin")
    assert (status_of(invitation), events()) == ("accepted", ["invitation.created", "invitation.accepted"])
    assert not open_invitations_to(bob).exists()
    accepted = log_entry(log_entries(event="invitation.accepted").get().pk)
    assert accepted.personal["email"] == BOB
    assert accepted.content["metadata"] == {
        "invitationId": invitation.id,
        "role": "admin",
        "developerId": member.id,
    }


def test_the_address_is_in_no_entry_that_its_owner_cannot_erase(developer: Developer) -> None:
    """Entries of colleagues have keys of theirs."""
    revoke(developer, make_invitation(developer, BOB))
    invitation, bob = make_invitation(developer, BOB), make_verified(BOB)
    accept(bob, invitation)
    erase_user(actor=as_user(bob), user=bob)
    found = [log_entry(entry.pk) for entry in log_entries(event__startswith="invitation.")]
    assert len(found) == 4
    assert all(BOB not in f"{entry.content} {entry.personal}" for entry in found)


def test_owners_and_admins_are_mailed_that_a_member_joined(developer: Developer) -> None:
    admin, _ = make_member(developer, Role.ADMIN), make_member(developer, Role.DEVELOPER, "dan@example.com")
    accept(make_verified(BOB), make_invitation(developer, BOB, Role.OWNER))
    told = Notice.objects.filter(name="member_joined")
    assert {notice.user for notice in told} == {developer.user, admin.user}
    assert {(notice.facts["email"], notice.facts["role"], notice.facts["ip"]) for notice in told} == {
        (BOB, "owner", None)
    }


def test_an_invitation_to_an_address_looks_up_no_account(
    developer: Developer, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    make_verified("known@example.com")
    make_invitation(developer, "warm-up@example.com")
    with django_assert_max_num_queries(30) as unknown:
        make_invitation(developer, "unknown@example.com")
    with django_assert_num_queries(len(unknown)) as known:
        make_invitation(developer, "known@example.com")
    assert not [one["sql"] for one in known if "account_emailaddress" in one["sql"]]


@cases("state", ["unverified", "another", "removed"])
def test_an_account_without_the_verified_address_finds_no_invitation(developer: Developer, state: str) -> None:
    invitation = make_invitation(developer, BOB)
    user = make_verified(BOB if state == "removed" else "eve@example.com")
    if state == "unverified":
        EmailAddress.objects.create(user=user, email=BOB, verified=False)
    if state == "removed":
        EmailAddress.objects.filter(user=user).delete()
    for act in (accept, decline):
        with pytest.raises(NotFound):
            act(user, invitation)
    assert (status_of(invitation), list(open_invitations_to(user))) == ("pending", [])


def test_a_second_verified_address_counts_and_an_invitation_waits_for_its_account(developer: Developer) -> None:
    invitation = make_invitation(developer, BOB)
    user = make_verified("eve@example.com")
    EmailAddress.objects.create(user=user, email=BOB, verified=True)
    assert accept(user, invitation).role == "developer"


@cases(
    ("inviter", "invited", "is_permitted"),
    [
        ("owner", "owner", True),
        ("admin", "owner", False),
        ("admin", "admin", True),
        ("developer", "auditor", False),
        ("auditor", "auditor", False),
    ],
)
def test_a_member_invites_and_revokes_up_to_their_own_role(
    developer: Developer, inviter: str, invited: str, is_permitted: bool
) -> None:
    member = make_member(developer, Role(inviter))
    other = make_invitation(developer, "other@example.com", Role(invited))
    if is_permitted:
        make_invitation(member, BOB, Role(invited))
        revoke(member, other)
        return
    with pytest.raises(RoleInsufficient):
        make_invitation(member, BOB, Role(invited))
    with pytest.raises(RoleInsufficient):
        revoke(member, other)
    with pytest.raises(RoleInsufficient):
        make_invitation(member, other.email, Role.AUDITOR)
    assert Invitation.objects.get(status="pending") == other


def test_inviting_again_replaces_the_link(developer: Developer) -> None:
    first, second = make_invitation(developer, BOB), make_invitation(developer, BOB, Role.AUDITOR)
    bob = make_verified(BOB)
    assert (status_of(first), status_of(second)) == ("replaced", "pending")
    with pytest.raises(InvitationEnded):
        accept(bob, first)
    assert accept(bob, second).role == "auditor"
    assert events() == ["invitation.created", "invitation.created", "invitation.accepted"]


@cases(
    ("end", "error"),
    [
        ("decline", InvitationEnded),
        ("revoke", InvitationEnded),
        ("accept", InvitationEnded),
        ("time", InvitationExpired),
        ("sweep", InvitationExpired),
    ],
)
def test_an_ended_invitation_cannot_be_used(developer: Developer, end: str, error: type[DomainError]) -> None:
    bob = make_verified(BOB)
    with time_machine.travel(NOON, tick=False) as time:
        invitation = make_invitation(developer, BOB)
        if end in ("time", "sweep"):
            time.shift(timedelta(days=7))
        if end == "sweep":
            assert sweep_invitations() == 1
        if end == "revoke":
            revoke(developer, invitation)
        if end in ("decline", "accept"):
            {"decline": decline, "accept": accept}[end](bob, invitation)
        for act in (accept, decline):
            with pytest.raises(error):
                act(bob, invitation)
        if end != "time":
            with pytest.raises(InvitationEnded):
                revoke(developer, invitation)
    assert Developer.objects.filter(user=bob).count() == (end == "accept")


def test_a_sweep_ends_invitations_and_deletes_them_later(developer: Developer) -> None:
    with time_machine.travel(NOON, tick=False) as time:
        make_invitation(developer, BOB)
        declined = make_invitation(developer, "cyd@example.com")
        decline(make_verified("cyd@example.com"), declined)
        time.shift(timedelta(days=7) - timedelta(seconds=1))
        assert sweep_invitations() == 0
        time.shift(timedelta(seconds=1))
        assert (open_invitations_of(developer.organization_id).count(), sweep_invitations()) == (0, 1)
        assert events()[-1] == "invitation.expired"
        time.shift(timedelta(days=23))
        assert (sweep_invitations(), Invitation.objects.get().email) == (1, BOB)
        time.shift(timedelta(days=7))
        assert (sweep_invitations(), Invitation.objects.count()) == (1, 0)


@cases("reason", ["suspended", "deleting"])
def test_an_organization_that_is_suspended_or_deleted_takes_no_members(developer: Developer, reason: str) -> None:
    invitation, bob = make_invitation(developer, BOB), make_verified(BOB)
    if reason == "suspended":
        suspend_organization(actor=SYSTEM, organization=developer.organization, reason="Fraud.")
    else:
        Organization.objects.update(deletes_at=clock.now())
    with pytest.raises(OrganizationClosed) as caught:
        accept(bob, invitation)
    assert "Fraud" not in str(caught.value)
    with pytest.raises(OrganizationSuspended if reason == "suspended" else OrganizationDeleting):
        make_invitation(developer, "cyd@example.com")
    assert decline(bob, invitation).status == "declined"


@cases("change", ["demoted", "ended", "deactivated", "gone"])
def test_an_invitation_needs_an_inviter_who_could_still_make_it(developer: Developer, change: str) -> None:
    admin = make_member(developer, Role.ADMIN)
    invitation = make_invitation(admin, BOB, Role.ADMIN)
    if change == "demoted":
        Developer.objects.filter(pk=admin.pk).update(role=Role.DEVELOPER)
    if change == "ended":
        Developer.objects.filter(pk=admin.pk).update(ended_at=clock.now())
    if change == "deactivated":
        User.objects.filter(pk=admin.user_id).update(is_active=False)
    if change == "gone":
        Invitation.objects.update(invited_by=None)
    with pytest.raises(InvitationEnded, match="can no longer"):
        accept(make_verified(BOB), invitation)


@cases("address", [BOB, "second@example.com"])
def test_a_member_does_not_return_with_an_invitation_from_before_the_end(developer: Developer, address: str) -> None:
    bob = make_verified(BOB)
    member = accept(bob, make_invitation(developer, BOB))
    invitation = make_invitation(developer, address, Role.ADMIN)
    end_membership(
        actor=as_developer(ANONYMOUS, developer), organization_id=developer.organization_id, member_id=member.id
    )
    EmailAddress.objects.get_or_create(user=bob, email=address, verified=True)
    with pytest.raises(InvitationEnded):
        accept(bob, invitation)
    assert accept(bob, make_invitation(developer, BOB, Role.AUDITOR)).role == "auditor"


def test_the_end_or_a_lesser_role_of_a_member_revokes_their_open_invitations(developer: Developer) -> None:
    admin = make_member(developer, Role.ADMIN)
    own = [make_invitation(admin, f"{role}@example.com", role) for role in (Role.ADMIN, Role.DEVELOPER)]
    other = make_invitation(developer, BOB)
    actor = as_developer(ANONYMOUS, developer)

    revoke_invitations_by(admin, actor=actor, now=clock.now(), role=Role.DEVELOPER)
    assert [status_of(one) for one in (*own, other)] == ["revoked", "pending", "pending"]
    revoke_invitations_by(admin, actor=actor, now=clock.now())
    assert [status_of(one) for one in (*own, other)] == ["revoked", "revoked", "pending"]
    assert events().count("invitation.revoked") == 2


def test_a_member_cannot_join_again_until_their_membership_ends(developer: Developer) -> None:
    bob = make_verified(BOB)
    first = accept(bob, make_invitation(developer, BOB))
    second = make_invitation(developer, BOB)
    with pytest.raises(AlreadyMember):
        accept(bob, second)
    Developer.objects.filter(pk=first.pk).update(ended_at=clock.now())
    assert accept(bob, make_invitation(developer, BOB)).pk != first.pk


def test_memberships_are_bounded(developer: Developer, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = make_verified(BOB)
    invitation = make_invitation(developer, BOB)
    monkeypatch.setattr(invitations, "MAX_MEMBERS", 1)
    with pytest.raises(TooManyMemberships, match="at most 1 members"):
        accept(bob, invitation)
    monkeypatch.setattr(invitations, "MAX_MEMBERS", 200)
    for number in range(20):
        create_organization(actor=as_user(bob), user=bob, name=f"Acme {number}")
    with pytest.raises(TooManyMemberships, match="at most 20 organizations"):
        accept(bob, invitation)
    with pytest.raises(TooManyMemberships):
        create_organization(actor=as_user(bob), user=bob, name="Another")
    assert log_entries(event="organization.created").count() == 20


def test_open_invitations_are_bounded(developer: Developer) -> None:
    with time_machine.travel(NOON, tick=False) as time:
        for number in range(50):
            make_invitation(developer, f"{number}@example.com")
        with pytest.raises(Conflict, match="At most 50"):
            make_invitation(developer, BOB)
        make_invitation(developer, "1@example.com")  # it replaces one
        time.shift(timedelta(days=7))
        make_invitation(developer, BOB)  # the others are over, although no sweep has run


def test_emails_are_bounded_per_day(developer: Developer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "MAX_MAILS_PER_DAY", 5)
    with time_machine.travel(NOON, tick=False) as time:
        for _ in range(3):
            make_invitation(developer, BOB)
            time.shift(timedelta(hours=1))
        with pytest.raises(Throttled) as caught:
            make_invitation(developer, BOB)
        assert caught.value.retry_after == 21 * 3600 + 1
        make_invitation(developer, "1@example.com")
        make_invitation(developer, "2@example.com")
        with pytest.raises(Throttled):
            make_invitation(developer, "3@example.com")
        time.shift(timedelta(hours=21))
        make_invitation(developer, BOB)


def test_the_email_goes_to_the_address_in_english_with_the_link(developer: Developer, mailoutbox: Any) -> None:
    Organization.objects.update(domain="acme.com")
    invitation = make_invitation(developer, BOB, Role.AUDITOR)
    send_notices()
    (mail,) = mailoutbox
    assert (mail.to, mail.subject) == ([BOB], "[AgentGate] You are invited to join an organization")
    assert f"/invitations/{invitation.id}" in mail.body
    assert all(text in mail.body for text in ("Acme", "Auditor", "acme\u2060.\u2060com", "Change nothing"))
    assert not Notice.objects.exists()


def test_an_address_gets_ten_such_emails_a_day_from_all_organizations(mailoutbox: Any) -> None:
    for number in range(4):
        developer = make_developer(f"dev{number}@example.com")
        for _ in range(3):
            make_invitation(developer, BOB)
    send_notices()
    assert (len(mailoutbox), Notice.objects.count()) == (10, 0)
    assert open_invitations_of(developer.organization_id).count() == 1


def test_an_email_that_fails_is_tried_again_and_counts_once(
    developer: Developer, mailoutbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_invitation(developer, BOB)
    with time_machine.travel(clock.now(), tick=False) as time:
        with monkeypatch.context() as patched:
            patched.setattr("django.core.mail.EmailMessage.send", lambda self: 1 / 0)
            for _ in range(11):
                send_notices()
                time.shift(timedelta(hours=1))
        time.shift(timedelta(hours=4))
        send_notices()
    assert len(mailoutbox) == 1


def test_an_erasure_deletes_the_invitations_to_verified_addresses_only(developer: Developer) -> None:
    invitation = make_invitation(developer, BOB)
    eve = make_verified("eve@example.com")
    EmailAddress.objects.create(user=eve, email=BOB, verified=False)
    erase_user(actor=as_user(eve), user=eve)
    assert status_of(invitation) == "pending"
    bob = make_verified(BOB)
    erase_user(actor=as_user(bob), user=bob)
    assert not Invitation.objects.exists()
    assert not Notice.objects.filter(email=BOB).exists()
    assert events()[-1] == "invitation.declined"
