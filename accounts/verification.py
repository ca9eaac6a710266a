"""The addresses of a person: proving, adding, removing one, and choosing the primary one.

Each is done by a person who signed in a moment ago, told to the old address, and logged.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction

from accounts import codes
from accounts.addresses import normalize_email
from accounts.errors import AddressInUse, EmailTaken, InvalidCode
from accounts.mails import send_mail
from accounts.models import AddressCode, User
from accounts.selectors import address_is_taken, is_main_address
from accounts.services import hold_account
from audit.events import Event
from audit.services import Draft, record
from core import clock
from core.actor import Actor
from core.errors import Invalid, NotFound
from core.sweeps import BATCH, delete_batch

MAX_ADDRESSES = 5
IN_USE = "Another account has this address."


@transaction.atomic
def send_address_code(*, actor: Actor, user: User, email: str) -> None:
    """Mail a code to an address that the person wants to prove: their own, or one to add.

    To an address of another account a notice goes instead, with the same work and the same answer. Raises `Invalid`
    for an address that the person has proved already, and for one too many.
    """
    email, now, code = normalize_email(email), clock.now(), codes.new_code()
    own = EmailAddress.objects.filter(user=user, verified=True)
    if own.filter(email=email).exists():
        raise Invalid.field("email", "This address is already confirmed.")
    if email != user.email and own.count() >= MAX_ADDRESSES:
        raise Invalid.field("email", f"An account can have at most {MAX_ADDRESSES} addresses. Remove one first.")
    AddressCode.objects.create(
        user=user, email=email, digest=codes.code_digest(code, user.id, email), expires_at=now + codes.LIFETIME
    )
    is_foreign = address_is_taken(email) and email != user.email
    name = "address_taken" if is_foreign else "address_code"
    send_mail(name, to=email, actor=actor, context={"code": code, "is_main": is_main_address(email)})


@transaction.atomic
def confirm_address(*, actor: Actor, user: User, email: str, code: str) -> None:
    """Prove the person's primary address, or add a proved one. Raises `InvalidCode`, `EmailTaken`."""
    user, email = hold_account(user), normalize_email(email)
    rows = AddressCode.objects.filter(digest=codes.code_digest(code, user.id, email), expires_at__gt=clock.now())
    if not rows.delete()[0]:
        raise InvalidCode("Check the code, or request a new one.")
    if email == user.email:
        prove_primary_address(user)
        _record(Event.USER_EMAIL_VERIFIED, actor, user, email)
        return
    if address_is_taken(email):
        raise EmailTaken(IN_USE)
    with _unique_or_taken():
        EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True})
    _record(Event.USER_EMAIL_ADDED, actor, user, email)
    send_mail("address_added", to=user.email, actor=actor, context={"address": email})


@transaction.atomic
def remove_address(*, actor: Actor, user: User, email: str) -> None:
    """Remove a secondary address. Raises `NotFound`, and `AddressInUse` for the primary one."""
    user = hold_account(user)
    address = _own_address(user, email)
    if address.email == user.email:
        raise AddressInUse("Make another address the primary address first.")
    address.delete()
    _record(Event.USER_EMAIL_REMOVED, actor, user, address.email)
    for to in (user.email, address.email):
        send_mail("address_removed", to=to, actor=actor, context={"address": address.email, "main": user.email})


@transaction.atomic
def make_address_primary(*, actor: Actor, user: User, email: str) -> None:
    """Let a proved address sign in and reset the password from now on. Raises `NotFound`, `Invalid`.

    An old address that was never proved is dropped: it may be a stranger's.
    """
    user = hold_account(user)
    address, old = _own_address(user, email), user.email
    if not address.verified:
        raise Invalid.field("email", "Confirm this address first.")
    if address.email == old:
        return
    EmailAddress.objects.filter(user=user, email=old, verified=False).delete()
    EmailAddress.objects.filter(user=user, primary=True).update(primary=False)
    EmailAddress.objects.filter(pk=address.pk).update(primary=True)
    with _unique_or_taken():
        User.objects.filter(pk=user.pk).update(email=address.email)
    _record(Event.USER_EMAIL_CHANGED, actor, user, address.email)
    for to in (old, address.email):
        send_mail("address_changed", to=to, actor=actor, context={"address": address.email, "main": address.email})


def prove_primary_address(user: User) -> None:
    """Mark the primary address as proved. Call it in a transaction that holds the person's row.

    Another account may hold the address as a secondary one; the mailbox has decided for this account.
    """
    EmailAddress.objects.filter(email=user.email, primary=False).exclude(user=user).delete()
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"primary": True, "verified": True})


def delete_expired_address_codes(*, limit: int = BATCH) -> int:
    """Delete up to `limit` codes that were not used in time; return how many."""
    return delete_batch(AddressCode.objects.filter(expires_at__lte=clock.now()), limit=limit)


@contextmanager
def _unique_or_taken() -> Iterator[None]:
    """Raise `EmailTaken` when another account took the address a moment ago."""
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
    """Log it; the address itself stays erasable."""
    record(Draft(event=event, actor=actor.acting_as("user", user.id), user_id=user.id, personal={"email": email}))
