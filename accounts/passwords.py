"""Choosing a new password, and what ends with the old one.

Browser sessions carry a hash of the password (Django's session auth hash), and so do API sessions: both end with it,
also those that a sign-in with the old password opens a moment later.
"""

from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts.mails import send_mail
from accounts.models import AddressCode, KnownAddress, SessionToken, User
from accounts.selectors import has_verified_address
from accounts.services import hold_account
from accounts.signals import account_reclaimed
from accounts.verification import prove_primary_address
from audit.events import Event
from audit.services import Draft, record
from core import clock
from core.actor import Actor
from core.locks import revocation


def change_password(*, actor: Actor, user: User, password: str) -> None:
    """Set the password of a person who gave the old one; end every API session. Raises `NotAuthenticated`.

    `user` is the person as they were when they gave it. Hashing takes a tenth of a second: it comes before the
    transaction.
    """
    hashed = make_password(password)
    with transaction.atomic():
        _replace_password(actor, hold_account(user), hashed, "change")
    user.password = hashed


def reset_password(*, actor: Actor, user: User, password: str) -> None:
    """Set the password of a person who read the mail sent to their primary address; end every session.

    When this proves an address that was never verified before, everything made before ends in the same transaction.
    `user` is the person as they were when the link was checked. Raises `NotAuthenticated` when the link would no
    longer work: it was used meanwhile, or the account moved to another address, which this mail does not prove.
    """
    hashed = make_password(password)
    with revocation():
        held = hold_account(user)
        _replace_password(actor, held, hashed, "reset")
        if not has_verified_address(held):
            _reclaim_account(actor, held, clock.now())
    user.password = hashed


def _replace_password(actor: Actor, held: User, hashed: str, method: str) -> None:
    held.password = hashed
    held.save(update_fields=["password"])
    SessionToken.objects.filter(user=held).delete()
    AddressCode.objects.filter(user=held).delete()
    actor = actor.acting_as("user", held.id)
    record(Draft(event=Event.USER_PASSWORD_CHANGED, actor=actor, user_id=held.id, metadata={"method": method}))
    send_mail("password_changed", to=held.email, actor=actor)


def _reclaim_account(actor: Actor, user: User, now: datetime) -> None:
    """End what was made before the address was proved: a stranger may have registered it and waited."""
    actor = actor.acting_as("user", user.id)
    removed, _ = EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    prove_primary_address(user)
    KnownAddress.objects.filter(user=user).delete()
    account_reclaimed.send(sender=User, user=user, actor=actor, now=now)
    metadata = {"removedAddresses": removed}
    record(Draft(event=Event.USER_ACCOUNT_RECLAIMED, actor=actor, user_id=user.id, metadata=metadata))
