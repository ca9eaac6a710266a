"""Registering where addresses must be proved first: until then there is no account, only a pending registration.

Every registration of an address has a row and a code of its own. A code proves its own row only: the owner's code never
confirms a stranger's password, and a stranger cannot cancel the owner's registration.
"""

from django.db import transaction

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

# Registrations that may wait for one address per network (an IPv4 address or an IPv6 /48). A sender who fills the
# share can neither flood the mailbox nor close the address to other networks.
MAX_WAITING = 10


@transaction.atomic
def start_registration(*, actor: Actor, kind: Kind, user: User) -> PendingRegistration:
    """Keep the registration of a person not yet saved, and mail a code; to a taken address mail a notice.

    New and taken addresses cost the same work and get the same answer. Beyond `MAX_WAITING` nothing is kept or sent.
    """
    now, code = clock.now(), codes.new_code()
    pending = PendingRegistration(
        kind=kind,
        email=user.email,
        name=user.name,
        password=user.password,
        sender=_sender_digest(actor),
        created_at=now,
        expires_at=now + codes.LIFETIME,
    )
    pending.digest = _digest(pending, code)
    waiting = PendingRegistration.objects.filter(email=user.email, sender=pending.sender, expires_at__gt=now)
    if waiting.count() < MAX_WAITING:
        pending.save(force_insert=True)
        name = "address_taken" if address_is_taken(user.email) else "registration_code"
        context = {"code": code, "is_main": is_main_address(user.email)}
        send_mail(name, to=user.email, actor=actor, context=context)
    return pending


@transaction.atomic
def confirm_registration(*, actor: Actor, email: str, code: str) -> User:
    """Create the person whose registration at the API this code proves. Raises `InvalidCode`, `EmailTaken`."""
    return add_user(actor=actor, user=take_registration(kind=Kind.USER, email=email, code=code), is_verified=True)


@transaction.atomic
def confirm_sign_up(*, actor: Actor, pending_id: str, email: str, code: str) -> User:
    """Create the person who signed up in this browser. Raises `InvalidCode`, `EmailTaken`."""
    user = take_registration(kind=Kind.BROWSER, email=email, code=code, pending_id=pending_id)
    return add_user(actor=actor, user=user, is_verified=True)


def take_registration(*, kind: Kind, email: str, code: str, pending_id: str = "") -> User:
    """Use up the registration that this code proves; return the person, not yet saved. Raises `InvalidCode`.

    Call it in the transaction that saves the person: of several confirmations at once one deletes the row.
    """
    wanted = PendingRegistration(kind=kind, email=normalize_email(email), id=pending_id)
    rows = PendingRegistration.objects.filter(digest=_digest(wanted, code), expires_at__gt=clock.now())
    pending = rows.first()
    if pending is None or not rows.delete()[0]:
        raise InvalidCode("Check the code, or register again to get a new one.")
    return User(email=pending.email, name=pending.name, password=pending.password)


def delete_expired_registrations(*, limit: int = BATCH) -> int:
    """Delete up to `limit` registrations that were not confirmed in time; return how many."""
    return delete_batch(PendingRegistration.objects.filter(expires_at__lte=clock.now()), limit=limit)


def _sender_digest(actor: Actor) -> str:
    """Return what the sender's network is counted by, the widest one that one sender may hold."""
    return keyed_digest("registration-sender", address_subjects(actor.ip or "")[-1].name.encode())


def _digest(pending: PendingRegistration, code: str) -> str:
    """Bind the code to what it proves; in a browser also to the row that its session names."""
    row = pending.id if pending.kind == Kind.BROWSER else ""
    return codes.code_digest(code, pending.kind, pending.email, row)
