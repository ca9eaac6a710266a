"""Changing roles, removing members and leaving: who may, what ends, and that an owner remains."""

from functools import partial
from typing import Any

import pytest

from accounts.erasure import erase_user
from accounts.errors import ReauthenticationRequired
from accounts.models import Notice, User
from accounts.services import deactivate_user, reactivate_user
from core import clock
from core.actor import SYSTEM, Actor
from core.errors import DomainError, NotAuthenticated, NotFound
from developers.acting import as_developer, as_developer_in_session
from developers.api_keys import create_api_key
from developers.errors import LastOwner, OrganizationSuspended
from developers.members import change_role, end_membership, leave
from developers.models import ApiKey, Developer, Invitation, Organization
from developers.roles import Role, RoleInsufficient
from developers.selectors import find_api_key, members_of
from developers.services import suspend_organization
from tests.log import log_entries
from tests.shared import cases
from tests.world import ANONYMOUS, as_user, make_agent, make_developer, make_member

pytestmark = pytest.mark.django_db
OWNER, ADMIN, DEVELOPER, AUDITOR = Role.OWNER, Role.ADMIN, Role.DEVELOPER, Role.AUDITOR


def act(member: Developer) -> Actor:
    return as_developer(ANONYMOUS, member)


def change(by: Developer, member: Developer, role: str) -> Developer:
    return change_role(actor=act(by), organization_id=by.organization_id, member_id=member.id, role=role)


def end(by: Developer, member: Developer) -> None:
    end_membership(actor=act(by), organization_id=by.organization_id, member_id=member.id)


def invite(member: Developer, role: Role) -> Invitation:
    now = clock.now()
    return Invitation.objects.create(
        organization=member.organization,
        email=f"{role}-{member.id}@example.com",
        role=role,
        invited_by=member,
        created_at=now,
        expires_at=now,
    )


def logged(event: str) -> Any:
    """Return the only entry of the event."""
    (entry,) = log_entries(event=event)
    return entry


def open_invitations() -> list[str]:
    return [one.role for one in Invitation.objects.filter(status="pending").order_by("id")]


def owners(organization_id: str) -> set[str]:
    active = members_of(organization_id).filter(role=OWNER, user__is_active=True)
    return set(active.values_list("user__email", flat=True))


# The actor, the member and the new role, or None for a removal.
@cases(
    ("by", "of", "to", "permitted"),
    [
        (OWNER, OWNER, AUDITOR, True),
        (OWNER, DEVELOPER, OWNER, True),
        (OWNER, OWNER, None, True),
        (ADMIN, ADMIN, AUDITOR, True),
        (ADMIN, DEVELOPER, ADMIN, True),
        (ADMIN, ADMIN, None, True),
        (ADMIN, DEVELOPER, OWNER, False),
        (ADMIN, OWNER, ADMIN, False),
        (ADMIN, OWNER, None, False),
        (DEVELOPER, AUDITOR, DEVELOPER, False),
        (DEVELOPER, AUDITOR, None, False),
        (AUDITOR, AUDITOR, None, False),
    ],
)
def test_members_change_only_those_whose_role_they_cover(
    developer: Developer, by: Role, of: Role, to: Role | None, permitted: bool
) -> None:
    actor, member = make_member(developer, "by@example.com", by), make_member(developer, "of@example.com", of)
    outcome = outcome_of(partial(change, actor, member, to) if to else partial(end, actor, member))
    member.refresh_from_db()
    if permitted:
        assert not isinstance(outcome, DomainError)
        assert member.role == (to or of)
        assert (member.ended_at is None) == (to is not None)
    else:
        assert isinstance(outcome, RoleInsufficient)
        assert (member.role, member.ended_at) == (of, None)
        assert not Notice.objects.exists()


def outcome_of(act: Any) -> Any:
    try:
        return act()
    except DomainError as error:
        return error


def test_a_changed_role_is_logged_mailed_and_ends_what_exceeds_it(developer: Developer) -> None:
    member = make_member(developer, "bob@example.com", ADMIN)
    key = create_api_key(actor=act(member), developer=member, name="laptop").value
    for role in (ADMIN, AUDITOR):
        invite(member, role)

    assert change(developer, member, AUDITOR).role == AUDITOR
    assert change(developer, member, AUDITOR).role == AUDITOR  # which changes nothing

    entry = logged("member.role_changed")
    assert entry.content["userId"] == member.user_id
    assert entry.content["metadata"] == {"developerId": member.id, "before": "admin", "after": "auditor"}
    assert open_invitations() == ["auditor"]
    assert logged("invitation.revoked").content["metadata"]["role"] == "admin"
    (notice,) = Notice.objects.filter(name="member_role_changed")
    assert (notice.user, notice.facts["organization"], notice.facts["role"]) == (member.user, "Acme", "auditor")
    assert find_api_key(key)


def test_raising_a_role_in_a_session_requires_a_recent_sign_in_and_lowering_does_not(developer: Developer) -> None:
    member = make_member(developer, "bob@example.com", ADMIN)
    session = as_developer_in_session(ANONYMOUS, developer, None)
    fields: dict[str, Any] = {"organization_id": developer.organization_id, "member_id": member.id}
    change_role(actor=session, role=AUDITOR, **fields)
    with pytest.raises(ReauthenticationRequired):
        change_role(actor=session, role=OWNER, **fields)


@pytest.mark.parametrize("is_own", [False, True])
def test_the_end_of_a_membership_ends_its_keys_and_invitations_only(developer: Developer, is_own: bool) -> None:
    member = make_member(developer, "bob@example.com", ADMIN)
    elsewhere = Developer.objects.create(
        user=member.user, organization=make_developer("rival@example.com", "Rival").organization
    )
    keys = [create_api_key(actor=act(one), developer=one, name="laptop").value for one in (member, elsewhere)]
    agent = make_agent(member)
    shared = ApiKey.objects.create(
        organization=member.organization, made_by=member, digest="0", role=DEVELOPER, created_at=clock.now()
    )
    for one in (member, elsewhere):
        invite(one, AUDITOR)

    end(member if is_own else developer, member)

    assert [bool(find_api_key(key)) for key in keys] == [False, True]
    shared.refresh_from_db()
    assert shared.expires_at is None
    assert Invitation.objects.get(status="pending").invited_by == elsewhere
    entry = logged("member.left" if is_own else "member.removed")
    assert (entry.content["userId"], entry.content["metadata"]["apiKeys"]) == (member.user_id, 1)
    assert Notice.objects.filter(name="member_removed", user=member.user).count() == (not is_own)
    agent.refresh_from_db()
    assert (agent.made_by, agent.may_act) == (member, True)
    for again in (partial(end, developer, member), partial(change, developer, member, AUDITOR)):
        assert isinstance(outcome_of(again), NotFound)
    assert isinstance(outcome_of(partial(end, member, member)), NotAuthenticated)


def test_members_of_another_organization_do_not_exist(developer: Developer) -> None:
    rival = make_developer("rival@example.com", "Rival")
    for act_ in (partial(end, developer, rival), partial(change, developer, rival, AUDITOR)):
        assert isinstance(outcome_of(act_), NotFound)


def test_a_key_of_a_lesser_role_does_not_make_its_member_leave(developer: Developer) -> None:
    member = make_member(developer, "bob@example.com", DEVELOPER)
    actor = act(member)._replace(role=AUDITOR)
    with pytest.raises(RoleInsufficient, match="owner or admin or developer"):
        end_membership(actor=actor, organization_id=member.organization_id, member_id=member.id)


def test_the_last_owner_whose_account_is_active_stays(developer: Developer) -> None:
    admin = make_member(developer, "bob@example.com", ADMIN)
    other = make_member(developer, "eve@example.com", OWNER)
    User.objects.filter(pk=other.user_id).update(is_active=False)
    for act_ in (
        partial(end, developer, developer),
        partial(change, developer, developer, ADMIN),
        partial(leave, actor=as_user(developer.user), member=developer),
    ):
        assert isinstance(outcome_of(act_), LastOwner)
    end(developer, other)
    change(developer, admin, OWNER)
    end(developer, developer)
    assert owners(developer.organization_id) == {"bob@example.com"}


def test_a_member_leaves_a_suspended_organization(developer: Developer) -> None:
    member = make_member(developer, "bob@example.com", ADMIN)
    suspend_organization(actor=SYSTEM, organization=developer.organization, reason="Fraud.")
    assert isinstance(outcome_of(partial(end, member, member)), OrganizationSuspended)
    leave(actor=as_user(member.user), member=member)
    assert isinstance(outcome_of(partial(leave, actor=as_user(member.user), member=member)), NotFound)
    assert log_entries(event="member.left").count() == 1


def close(way: str, member: Developer) -> None:
    if way == "deactivated":
        deactivate_user(actor=SYSTEM, user=member.user, reason="Asked to.")
    else:
        erase_user(actor=SYSTEM, user=member.user)


@pytest.mark.parametrize("way", ["deactivated", "erased"])
def test_the_oldest_active_admin_succeeds_the_last_owner(developer: Developer, way: str) -> None:
    inactive, successor, _ = (make_member(developer, f"{name}@example.com", ADMIN) for name in ("a", "b", "c"))
    deactivate_user(actor=SYSTEM, user=inactive.user, reason="Asked to.")
    assert owners(developer.organization_id) == {"dev@example.com"}

    close(way, developer)

    assert owners(developer.organization_id) == {"b@example.com"}
    metadata = {"developerId": successor.id, "before": "admin", "after": "owner", "isSuccession": True}
    assert logged("member.role_changed").content["metadata"] == metadata
    assert Notice.objects.filter(name="member_role_changed", user=successor.user).exists()
    if way == "deactivated":
        reactivate_user(actor=SYSTEM, user=developer.user, reason="Came back.")
        assert owners(developer.organization_id) == {"b@example.com", "dev@example.com"}
    else:
        developer.refresh_from_db()
        assert developer.ended_at


@pytest.mark.parametrize("way", ["deactivated", "erased"])
def test_without_an_admin_the_organization_is_suspended(developer: Developer, way: str) -> None:
    make_member(developer, "bob@example.com", DEVELOPER)
    close(way, developer)
    organization = Organization.objects.get(pk=developer.organization_id)
    assert organization.suspension_reason == "The account of its last owner was closed, and it has no admin."
    reactivate_user(actor=SYSTEM, user=developer.user, reason="Came back.")
    organization.refresh_from_db()
    assert not organization.may_act


def test_an_organization_with_another_owner_goes_on(developer: Developer) -> None:
    make_member(developer, "bob@example.com", OWNER)
    close("deactivated", developer)
    assert owners(developer.organization_id) == {"bob@example.com"}
    assert not log_entries(event__in=["member.role_changed", "organization.suspended"])


def test_an_erasure_finds_past_memberships(developer: Developer) -> None:
    member = make_member(developer, "bob@example.com", DEVELOPER)
    end(developer, member)
    again = Developer.objects.create(user=member.user, organization=developer.organization, role=AUDITOR)

    erase_user(actor=SYSTEM, user=member.user)

    assert logged("user.erased").content["metadata"]["subjects"] == [member.id, again.id]
    assert logged("member.left").content["metadata"]["reason"] == "account_erased"
    again.refresh_from_db()
    assert again.ended_at


def test_owners_and_admins_are_mailed_when_another_member_becomes_one(developer: Developer) -> None:
    member = make_member(developer, "bob@example.com", Role.AUDITOR)
    for role, told in ((Role.DEVELOPER, 0), (Role.ADMIN, 1), (Role.OWNER, 2), (Role.ADMIN, 2)):
        actor = as_developer(ANONYMOUS, developer)
        change_role(actor=actor, organization_id=developer.organization_id, member_id=member.id, role=role)
        assert Notice.objects.filter(name="member_raised", user=developer.user).count() == told
    assert not Notice.objects.filter(name="member_raised", user=member.user).exists()
