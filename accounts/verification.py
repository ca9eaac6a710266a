"""The addresses of a user: verify, add and remove them, and choose the primary one.

Each change is logged, and the pages allow it only after a recent sign-in. Adding, removing or switching addresses also
sends an email to the primary address. A switch sends one to the old and one to the new address.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from accounts import codes
from accounts.addresses import normalize_email
from accounts.errors import AddressInUse, EmailTaken, InvalidCode
from accounts.mails import send_mail
from accounts.models import AddressCode, User
from accounts.selectors import address_is_taken, is_main_address
from accounts.services import hold_account
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.errors import Invalid, NotFound
from core.sweeps import BATCH, delete_batch
from core.wording import Filled

MAX_ADDRESSES = 5
IN_USE = gettext_noop("Another account has this address.")


@transaction.atomic
def send_address_code(*, actor: Actor, user: User, email: str) -> None:
    """Email a code to an address that the user wants to verify: the primary one, or one to add.

    An address that belongs to another account gets a notice instead, with the same work and the same response. Raises
    `Invalid` for an address that the user has already verified, and beyond `MAX_ADDRESSES`.
    """
    email, now, code = normalize_email(email), clock.now(), codes.new_code()
    own = EmailAddress.objects.filter(user=user, verified=True)
    if own.filter(email=email).exists():
        raise Invalid.field("email", gettext_noop("This address is already confirmed."))
    if email != user.email and own.count() >= MAX_ADDRESSES:
        raise Invalid.field(
            "email",
            Filled(
                gettext_noop("An account can have at most %(most)d addresses. Remove one first."), most=MAX_ADDRESSES
            ),
        )
    AddressCode.objects.create(
        user=user, email=email, digest=codes.code_digest(code, user.id, email), expires_at=now + codes.LIFETIME
    )
    is_foreign = address_is_taken(email) and email != user.email
    name = "address_taken" if is_foreign else "address_code"
    send_mail(name, to=email, user=user, actor=actor, facts={"code": code, "is_main": is_main_address(email)})


@transaction.atomic
def confirm_address(*, actor: Actor, user: User, email: str, code: str) -> None:
    """Verify the user's primary address, or add a verified address. Raises `InvalidCode`, `EmailTaken`."""
    user, email = hold_account(user), normalize_email(email)
    rows = AddressCode.objects.filter(digest=codes.code_digest(code, user.id, email), expires_at__gt=clock.now())
    if not rows.delete()[0]:
        raise InvalidCode(gettext_noop("Check the code, or request a new one."))
    if email == user.email:
        verify_primary_address(user)
        _record(Event.USER_EMAIL_VERIFIED, actor, user, email)
        return
    if address_is_taken(email):
        raise EmailTaken(IN_USE)
    with _unique_or_taken():
        EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True})
    _record(Event.USER_EMAIL_ADDED, actor, user, email)
    send_mail("address_added", user=user, actor=actor, facts={"address": email})


@transaction.atomic
def remove_address(*, actor: Actor, user: User, email: str) -> None:
    """Remove a secondary address. Raises `NotFound`, and `AddressInUse` for the primary one."""
    user = hold_account(user)
    address = _own_address(user, email)
    if address.email == user.email:
        raise AddressInUse(gettext_noop("Make another address the primary address first."))
    address.delete()
    _record(Event.USER_EMAIL_REMOVED, actor, user, address.email)
    for to in (user.email, address.email):
        addresses = {"address": address.email, "main": user.email}
        send_mail("address_removed", to=to, user=user, actor=actor, facts=addresses)


@transaction.atomic
def make_address_primary(*, actor: Actor, user: User, email: str) -> None:
    """Make a verified address the primary one, which signs in and receives reset links. Raises `NotFound`, `Invalid`.

    The old address is removed if it was never verified: it may belong to a stranger.
    """
    user = hold_account(user)
    address, old = _own_address(user, email), user.email
    if not address.verified:
        raise Invalid.field("email", gettext_noop("Confirm this address first."))
    if address.email == old:
        return
    EmailAddress.objects.filter(user=user, email=old, verified=False).delete()
    EmailAddress.objects.filter(user=user, primary=True).update(primary=False)
    EmailAddress.objects.filter(pk=address.pk).update(primary=True)
    with _unique_or_taken():
        User.objects.filter(pk=user.pk).update(email=address.email)
    _record(Event.USER_EMAIL_CHANGED, actor, user, address.email)
    for to in (old, address.email):
        addresses = {"address": address.email, "main": address.email}
        send_mail("address_changed", to=to, user=user, actor=actor, facts=addresses)


def verify_primary_address(user: User) -> None:
    """Mark the primary address as verified. Call it in a transaction that has locked the user's row.

    Removes the address from any account that has it as a secondary one: control of the mailbox decides.
    """
    EmailAddress.objects.filter(email=user.email, primary=False).exclude(user=user).delete()
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"primary": True, "verified": True})


def delete_expired_address_codes(*, limit: int = BATCH) -> int:
    """Delete up to `limit` expired codes; return the number deleted."""
    expired = AddressCode.objects.filter(expires_at__lte=clock.now())
    return delete_batch(expired.order_by("expires_at"), limit=limit)


@contextmanager
def _unique_or_taken() -> Iterator[None]:
    """Raise `EmailTaken` if another account has taken the address meanwhile."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise EmailTaken(IN_USE) from error


def _own_address(user: User, email: str) -> EmailAddress:
    address = EmailAddress.objects.filter(user=user, email=normalize_email(email)).first()
    if address is None:
        raise NotFound("No such email address.")
    return address


def _record(event: Event, actor: Actor, user: User, email: str) -> None:
    """Log the event with the address as personal data, which can be erased."""
    record(Draft(event=event, actor=actor.acting_as("user", user.id), user_id=user.id, personal={"email": email}))
