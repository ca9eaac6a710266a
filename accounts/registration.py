"""Registration if `REQUIRE_VERIFIED_EMAIL` is on: until the address is verified, there is only a pending registration.

Every registration of an address has its own row and code. A code confirms only its own row, so the owner's code never
confirms a password that a stranger chose, and a stranger cannot cancel the owner's registration. Codes have 50 random
bits instead of a limit on wrong guesses, which a stranger could use up. allauth would create the account first, with a
stranger's password.
"""

from django.db import transaction
from django.utils.translation import gettext_noop

from accounts import codes
from accounts.addresses import normalize_email
from accounts.errors import InvalidCode
from accounts.mails import send_mail
from accounts.models import PendingRegistration, User
from accounts.selectors import address_is_taken, is_main_address
from accounts.services import add_user
from core import clock
from core.actor import Actor
from core.crypto import keyed_digest
from core.sweeps import BATCH, delete_batch
from limits.throttle import address_subjects

Kind = PendingRegistration.Kind

# The most pending registrations of one email address per network (an IPv4 address or an IPv6 /48). A sender who reaches
# it can neither flood the mailbox nor block registrations of the address from other networks.
MAX_PENDING = 10


@transaction.atomic
def start_registration(*, actor: Actor, kind: Kind, user: User) -> PendingRegistration:
    """Store the registration of an unsaved user and email a code, or a notice if the address is taken.

    New and taken addresses cost the same work and get the same response. Beyond `MAX_PENDING`, store and send nothing.
    """
    now, code = clock.now(), codes.new_code()
    pending = PendingRegistration(
        kind=kind,
        email=user.email,
        name=user.name,
        language=user.language,
        password=user.password,
        sender=_sender_digest(actor),
        created_at=now,
        expires_at=now + codes.LIFETIME,
    )
    pending.digest = _digest(pending, code)
    waiting = PendingRegistration.objects.filter(email=user.email, sender=pending.sender, expires_at__gt=now)
    if waiting.count() < MAX_PENDING:
        pending.save(force_insert=True)
        name = "address_taken" if address_is_taken(user.email) else "registration_code"
        facts = {"code": code, "is_main": is_main_address(user.email)}
        send_mail(name, to=user.email, actor=actor, facts=facts)
    return pending


@transaction.atomic
def confirm_registration(*, actor: Actor, email: str, code: str) -> User:
    """Create the user whose registration through the API this code confirms. Raises `InvalidCode`, `EmailTaken`."""
    return add_user(actor=actor, user=take_registration(kind=Kind.USER, email=email, code=code), is_verified=True)


@transaction.atomic
def confirm_sign_up(*, actor: Actor, pending_id: str, email: str, code: str) -> User:
    """Create the user who signed up in this browser. Raises `InvalidCode`, `EmailTaken`."""
    user = take_registration(kind=Kind.BROWSER, email=email, code=code, pending_id=pending_id)
    return add_user(actor=actor, user=user, is_verified=True)


def take_registration(*, kind: Kind, email: str, code: str, pending_id: str = "") -> User:
    """Delete the registration that this code confirms and return its user, unsaved. Raises `InvalidCode`.

    Call it in the transaction that saves the user: if several requests confirm at once, only one deletes the row.
    """
    wanted = PendingRegistration(kind=kind, email=normalize_email(email), id=pending_id)
    rows = PendingRegistration.objects.filter(digest=_digest(wanted, code), expires_at__gt=clock.now())
    pending = rows.first()
    if pending is None or not rows.delete()[0]:
        raise InvalidCode(gettext_noop("Check the code, or register again to get a new one."))
    return User(email=pending.email, name=pending.name, language=pending.language, password=pending.password)


def delete_expired_registrations(*, limit: int = BATCH) -> int:
    """Delete up to `limit` registrations that were not confirmed in time; return the number deleted."""
    expired = PendingRegistration.objects.filter(expires_at__lte=clock.now())
    return delete_batch(expired.order_by("expires_at"), limit=limit)


def _sender_digest(actor: Actor) -> str:
    """Return the digest of the largest network that one sender may control. Registrations are counted per network."""
    return keyed_digest("registration-sender", address_subjects(actor.ip or "")[-1].name.encode())


def _digest(pending: PendingRegistration, code: str) -> str:
    """Return the digest of a code bound to its registration; for a browser, also to the row stored in its session."""
    row = pending.id if pending.kind == Kind.BROWSER else ""
    return codes.code_digest(code, pending.kind, pending.email, row)
