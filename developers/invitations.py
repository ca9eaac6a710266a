"""Invitations to join an organization, by email. Only a user who has verified the invited address can accept one.

No account is looked up when an invitation is made, so neither the response nor its time says whether the address has
one. All writes hold the organization's row, except for the sweep. So each ends an invitation only if it is pending.
"""

from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from accounts.addresses import normalize_email
from accounts.models import User
from accounts.notices import add_notice, add_notice_to_address
from accounts.services import hold_account
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import SYSTEM, Actor
from core.errors import Conflict, NotFound, Throttled
from core.sweeps import BATCH, delete_batch, lock_batch
from core.wording import Filled
from developers.acting import hold_developer, maker, require_recent_session
from developers.membership_errors import (
    AlreadyMember,
    InvitationEnded,
    InvitationExpired,
    OrganizationClosed,
    TooManyMemberships,
)
from developers.models import Developer, Invitation, Organization
from developers.roles import Right, Role, covers, require, roles_with
from developers.selectors import all_memberships_of, members_of, memberships_of

LIFETIME = timedelta(days=7)
# How long the row of an invitation that has ended is kept.
KEPT = timedelta(days=30)
DAY = timedelta(days=1)
MAX_OPEN = 50
MAX_MAILS_PER_DAY = 100
MAX_MAILS_PER_ADDRESS = 3
MAX_MEMBERS = 200
MAX_MEMBERSHIPS = 20

Status = Invitation.Status
EVENTS = {
    Status.ACCEPTED: Event.INVITATION_ACCEPTED,
    Status.DECLINED: Event.INVITATION_DECLINED,
    Status.REVOKED: Event.INVITATION_REVOKED,
    Status.EXPIRED: Event.INVITATION_EXPIRED,
}


def right_to_invite(role: str) -> Right:
    """Return what an actor needs to invite with this role, or to revoke such an invitation."""
    return Right.OWN if role == Role.OWNER else Right.ADMINISTER


def invite(*, actor: Actor, organization: Organization, email: str, role: Role) -> Invitation:
    """Invite the owner of an address for `LIFETIME`. An open invitation of the address is replaced by the new one.

    Raises `RoleInsufficient` if one of the two has a role above the actor's, `ReauthenticationRequired` unless a
    session's sign-in is recent, because who joins stays, `Conflict` beyond `MAX_OPEN` open ones, `Throttled` beyond the
    limits per day, and the errors of `hold_developer`.
    """
    address = normalize_email(email)
    with transaction.atomic():
        hold_developer(actor)
        held = _hold(organization.pk)
        require(actor.role, right_to_invite(role))
        require_recent_session(actor)
        now = clock.now()
        made = Invitation.objects.filter(organization=held)
        _throttle(made, MAX_MAILS_PER_DAY, now)
        _throttle(made.filter(email=address), MAX_MAILS_PER_ADDRESS, now)
        of_address = made.filter(email=address, status=Status.PENDING)
        replaced = of_address.select_for_update(no_key=True, of=("self",)).first()
        if replaced is not None:
            require(actor.role, right_to_invite(replaced.role))
            _settle(replaced, Status.REPLACED, now)
        elif made.filter(status=Status.PENDING, expires_at__gt=now).count() >= MAX_OPEN:
            text = gettext_noop("At most %(most)d invitations can be open at once. Revoke one first.")
            raise Conflict(Filled(text, most=MAX_OPEN))
        invitation = Invitation.objects.create(
            organization=held,
            email=address,
            role=role,
            invited_by_id=maker(actor),
            created_at=now,
            expires_at=now + LIFETIME,
        )
        replaces = {"replaces": replaced.pk} if replaced else {}
        _record(Event.INVITATION_CREATED, actor, invitation, **replaces)
        language = invitation.invited_by.user.language if invitation.invited_by else ""
        add_notice_to_address("invitation", to=address, at=now, language=language, facts=_facts(invitation))
    return invitation


def revoke_invitation(*, actor: Actor, organization: Organization, invitation_id: str) -> None:
    """End an invitation that is open. Raises `NotFound`, and `InvitationEnded` if it is not open.

    Raises `RoleInsufficient` for a role above the actor's.
    """
    with transaction.atomic():
        hold_developer(actor)
        held = _hold(organization.pk)
        invitation = invitation_of(held.pk, invitation_id)
        require(actor.role, right_to_invite(invitation.role))
        if not _end(invitation, Status.REVOKED, actor, clock.now()):
            raise InvitationEnded


def revoke_invitations_by(developer: Developer, *, actor: Actor, now: datetime, role: Role | None = None) -> None:
    """Revoke the open invitations that a member has made, or only those that a new `role` of theirs does not cover.

    Call it in the transaction that ends the membership or changes the role, which holds the organization.
    """
    roles = [one for one in Role if role is None or not covers(role, one)]
    revoke_invitations(Invitation.objects.filter(invited_by=developer, role__in=roles), actor=actor, now=now)


def revoke_invitations(rows: QuerySet[Invitation], *, actor: Actor, now: datetime) -> int:
    """Revoke those of the invitations that are open, in the transaction that says why. Return the number."""
    return sum(_end(invitation, Status.REVOKED, actor, now) for invitation in rows.filter(status=Status.PENDING))


def accept_invitation(*, actor: Actor, user: User, invitation_id: str) -> Developer:
    """Make the user a member with the invited role.

    Raises `NotFound` unless the user has verified the invited address, `InvitationExpired`, `InvitationEnded`,
    `AlreadyMember`, `OrganizationClosed` and `TooManyMemberships`.
    """
    organization_id = invitation_for_user(user, invitation_id).organization_id
    with transaction.atomic():
        hold_account(user)
        held = _hold(organization_id)
        invitation = _hold_invitation(user, invitation_id)
        now = clock.now()
        _require_pending(invitation, now)
        require_acceptable(invitation, user)
        developer = Developer.objects.create(user=user, organization=held, role=invitation.role)
        _settle(invitation, Status.ACCEPTED, now)
        _record(Event.INVITATION_ACCEPTED, actor, invitation, user, developerId=developer.pk)
        tell_administrators("member_joined", developer, now)
    return developer


def decline_invitation(*, actor: Actor, user: User, invitation_id: str) -> Invitation:
    """Refuse an invitation. Raises `NotFound`, `InvitationExpired` and `InvitationEnded` like `accept_invitation`."""
    organization_id = invitation_for_user(user, invitation_id).organization_id
    with transaction.atomic():
        hold_account(user)
        _hold(organization_id)
        invitation = _hold_invitation(user, invitation_id)
        now = clock.now()
        _require_pending(invitation, now)
        _settle(invitation, Status.DECLINED, now)
        _record(Event.INVITATION_DECLINED, actor, invitation, user)
    return invitation


def forget_invitations(user: User, *, actor: Actor) -> None:
    """Delete the invitations of the addresses that a user has verified, in the transaction that erases their account.

    The open ones count as declined. Danger: lock nothing but rows of invitations after this, because `revoke` waits
    for these while it holds the organization.
    """
    for invitation in invitations_to(user).select_for_update(no_key=True, of=("self",)):
        if invitation.status == Status.PENDING:
            _record(Event.INVITATION_DECLINED, actor, invitation, user, is_erased=True)
        invitation.delete()


def require_acceptable(invitation: Invitation, user: User) -> None:
    """Raise the errors of `accept_invitation` that an open invitation can have, from what is known now."""
    _require_open(invitation.organization)
    _require_inviter(invitation)
    _require_stayed_away(invitation, user)
    _require_room(user, invitation.organization)


def invitations_of(organization_id: str) -> QuerySet[Invitation]:
    """Return the invitations of the organization, newest first, with those that ended lately."""
    return Invitation.objects.select_related("organization", "invited_by__user").filter(organization=organization_id)


def invitation_of(organization_id: str, invitation_id: str) -> Invitation:
    """Return the organization's invitation with this id, open or not. Raises `NotFound`."""
    found = invitations_of(organization_id).filter(pk=invitation_id).first()
    if found is None:
        raise NotFound("No such invitation.")
    return found


def open_invitations_of(organization_id: str) -> QuerySet[Invitation]:
    """Return the organization's open invitations, newest first."""
    return invitations_of(organization_id).filter(status=Status.PENDING, expires_at__gt=clock.now())


def invitations_to(user: User) -> QuerySet[Invitation]:
    """Return the invitations of the addresses that the user has verified, newest first."""
    verified = EmailAddress.objects.filter(user=user, verified=True).values("email")
    return Invitation.objects.select_related("organization", "invited_by__user").filter(email__in=verified)


def open_invitations_to(user: User) -> QuerySet[Invitation]:
    """Return the open invitations of the addresses that the user has verified, newest first."""
    return invitations_to(user).filter(status=Status.PENDING, expires_at__gt=clock.now())


def invitation_for_user(user: User, invitation_id: str) -> Invitation:
    """Return the invitation with this id, open or not. Raises `NotFound` unless the user has verified its address."""
    found = invitations_to(user).filter(pk=invitation_id).first()
    if found is None:
        raise NotFound("No such invitation.")
    return found


def expire_invitations(*, limit: int = BATCH) -> int:
    """End up to `limit` invitations that were not accepted in time, and return the number."""
    with transaction.atomic():
        now = clock.now()
        over = Invitation.objects.filter(status=Status.PENDING, expires_at__lte=now).order_by("expires_at")
        pks = lock_batch(over, limit)
        for invitation in Invitation.objects.filter(pk__in=pks):
            _end(invitation, Status.EXPIRED, SYSTEM, now)
    return len(pks)


def delete_ended_invitations(*, limit: int = BATCH) -> int:
    """Delete up to `limit` invitations that ended `KEPT` ago, and return the number."""
    ended = Invitation.objects.filter(ended_at__lte=clock.now() - KEPT)
    return delete_batch(ended.order_by("ended_at"), limit=limit)


def _hold(organization_id: str) -> Organization:
    held: Organization = Organization.objects.select_for_update(no_key=True, of=("self",)).get(pk=organization_id)
    return held


def _hold_invitation(user: User, invitation_id: str) -> Invitation:
    """Lock the invitation, after the organization. The address may be unverified or gone since it was found."""
    locked = invitations_to(user).select_for_update(no_key=True, of=("self",)).filter(pk=invitation_id).first()
    if locked is None:
        raise NotFound("No such invitation.")
    return locked


def _require_pending(invitation: Invitation, now: datetime) -> None:
    status = invitation.status_at(now)
    if status == Status.EXPIRED:
        raise InvitationExpired
    if status != Status.PENDING:
        raise InvitationEnded


def _require_open(organization: Organization) -> None:
    if not organization.may_act or organization.deletes_at is not None or organization.deleted_at is not None:
        raise OrganizationClosed


def _require_inviter(invitation: Invitation) -> None:
    """Raise `InvitationEnded` unless the member who made the invitation could still do so with its role."""
    inviter = invitation.invited_by
    is_member = inviter is not None and inviter.ended_at is None and inviter.user.is_active
    if inviter is None or not is_member or not covers(inviter.role, invitation.role):
        raise InvitationEnded(gettext_noop("The member who invited you can no longer do so."))


def _require_stayed_away(invitation: Invitation, user: User) -> None:
    """Raise `InvitationEnded` if the user's membership has ended since: a removed member needs a new invitation.

    The invited address can be one that they verify only after the removal, so it is compared now and not then.
    """
    memberships = all_memberships_of(user).filter(organization=invitation.organization)
    if memberships.filter(ended_at__gte=invitation.created_at).exists():
        raise InvitationEnded


def _require_room(user: User, organization: Organization) -> None:
    memberships = memberships_of(user)
    if memberships.filter(organization=organization).exists():
        raise AlreadyMember
    if members_of(organization.pk).count() >= MAX_MEMBERS:
        text = gettext_noop("An organization can have at most %(most)d members.")
        raise TooManyMemberships(Filled(text, most=MAX_MEMBERS))
    if memberships.count() >= MAX_MEMBERSHIPS:
        raise TooManyMemberships(too_many_memberships())


def too_many_memberships() -> str:
    return Filled(gettext_noop("You can be a member of at most %(most)d organizations."), most=MAX_MEMBERSHIPS)


def _throttle(made: QuerySet[Invitation], most: int, now: datetime) -> None:
    """Raise `Throttled` if `most` of these were made within a day. Each was mailed, and each is kept for longer."""
    nth = made.filter(created_at__gt=now - DAY).order_by("-created_at").values_list("created_at", flat=True)[most - 1 :]
    oldest = nth.first()
    if oldest is not None:
        raise Throttled(int((oldest + DAY - now).total_seconds()) + 1)


def _end(invitation: Invitation, status: Status, actor: Actor, now: datetime) -> bool:
    """End the invitation if it is still open, and log it. Return whether it was."""
    pending = Invitation.objects.filter(pk=invitation.pk, status=Status.PENDING)
    if not pending.update(status=status, ended_at=now):
        return False
    _record(EVENTS[status], actor, invitation)
    return True


def _settle(invitation: Invitation, status: Status, now: datetime) -> None:
    invitation.status, invitation.ended_at = status, now
    invitation.save(update_fields=["status", "ended_at"])


def _record(
    event: Event,
    actor: Actor,
    invitation: Invitation,
    user: User | None = None,
    *,
    is_erased: bool = False,
    **more: Any,
) -> None:
    """Log what became of an invitation.

    The address is in an entry only if its owner, the `user`, acts: the key of that entry ends with their account, and
    that of a colleague's entry would not. It is left out while they are erased.
    """
    record(
        Draft(
            event=event,
            actor=actor,
            organization_id=invitation.organization_id,
            user_id=user.pk if user else None,
            metadata={"invitationId": invitation.pk, "role": str(invitation.role), **more},
            personal={"email": invitation.email} if user and not is_erased else {},
        )
    )


def tell_administrators(name: str, developer: Developer, now: datetime) -> None:
    """Let a worker mail the other owners and admins about a member.

    An intruder with the session or key of one of them can have invited or raised the member.
    """
    organization = developer.organization
    told = members_of(organization.pk).filter(role__in=roles_with(Right.ADMINISTER), user__is_active=True)
    facts = {
        "organizationId": organization.pk,
        "organization": organization.name,
        "email": developer.user.email,
        "role": str(developer.role),
    }
    for member in told.exclude(pk=developer.pk):
        add_notice(name, user=member.user, actor=SYSTEM, at=now, facts=facts)


def _facts(invitation: Invitation) -> dict[str, Any]:
    """Return what the email says of the invitation."""
    organization, inviter = invitation.organization, invitation.invited_by
    return {
        "invitation": invitation.pk,
        "organization": organization.name,
        "domain": organization.domain or "",
        "role": str(invitation.role),
        "inviter": inviter.user.get_full_name() if inviter else "",
        "until": invitation.expires_at.isoformat(),
    }
