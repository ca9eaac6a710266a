"""Changing and resetting passwords, and ending what depends on the old one.

Browser and API sessions contain a hash of the password (Django's session auth hash), so a new password ends them,
including those that a concurrent sign-in with the old password opens a moment later.
"""

from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts.mails import send_mail
from accounts.models import AddressCode, KnownAddress, KnownDevice, User
from accounts.selectors import has_verified_address
from accounts.services import hold_account
from accounts.session_ends import delete_sessions
from accounts.signals import account_reclaimed
from accounts.verification import verify_primary_address
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.locks import revocation


def change_password(*, actor: Actor, user: User, password: str, kept_key: str | None = None) -> None:
    """Set the password of a user who entered the old one, and end every session except the browser session `kept_key`.

    `user` is the user as read when the old password was checked. Raises `NotAuthenticated` if the account has changed
    since. Hashing takes a tenth of a second, so it happens before the transaction.
    """
    hashed = make_password(password)
    with transaction.atomic():
        _replace_password(actor, hold_account(user), hashed, "change", kept_key)
    user.password = hashed


def reset_password(*, actor: Actor, user: User, password: str, kept_key: str | None = None) -> None:
    """Set the password of a user who opened the link emailed to their primary address, and end every session.

    If this verifies an address for the first time, everything created before ends in the same transaction. `user` is
    the user as read when the link was checked. The session with `kept_key`, of the browser that opened the link, stays
    until its response is sent; the new password signs it out. Raises `NotAuthenticated` if the link no longer works
    because it has been used or the account now has another primary address, which this email does not verify.
    """
    hashed = make_password(password)
    with revocation():
        held = hold_account(user)
        _replace_password(actor, held, hashed, "reset", kept_key)
        if not has_verified_address(held):
            _reclaim_account(actor, held, clock.now())
    user.password = hashed


def _replace_password(actor: Actor, held: User, hashed: str, method: str, kept_key: str | None) -> None:
    held.password = hashed
    held.save(update_fields=["password"])
    delete_sessions(held, kept_key=kept_key)
    AddressCode.objects.filter(user=held).delete()
    actor = actor.acting_as("user", held.id)
    record(Draft(event=Event.USER_PASSWORD_CHANGED, actor=actor, user_id=held.id, metadata={"method": method}))
    send_mail("password_changed", user=held, actor=actor)


def _reclaim_account(actor: Actor, user: User, now: datetime) -> None:
    """End what was created before the address was verified: an attacker may have registered it in advance."""
    actor = actor.acting_as("user", user.id)
    removed, _ = EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    verify_primary_address(user)
    KnownAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    KnownDevice.objects.filter(user=user).delete()
    account_reclaimed.send(sender=User, user=user, actor=actor, now=now)
    metadata = {"removedAddresses": removed}
    record(Draft(event=Event.USER_ACCOUNT_RECLAIMED, actor=actor, user_id=user.id, metadata=metadata))
