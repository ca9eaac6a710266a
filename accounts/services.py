"""Register users, check passwords, open sessions, and deactivate accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from accounts.addresses import normalize_email
from accounts.devices import remember_device
from accounts.errors import BadCredentials, EmailTaken
from accounts.models import BrowserSession, KnownAddress, SessionToken, User
from accounts.selectors import address_is_taken
from accounts.signals import account_deactivated
from accounts.throttles import SignInThrottle, has_signed_in_from, remember_address
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append, record
from core import clock, secrets
from core.actor import Actor
from core.errors import FieldError, Invalid, NotAuthenticated, Unavailable
from core.locks import revocation
from core.sweeps import BATCH, delete_batch
from core.wording import Filled

KNOWN_ADDRESS_LIFETIME = timedelta(days=180)
SESSION_TOKEN_LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session and its token, which cannot be read again."""

    session: SessionToken
    token: str


def new_user(*, email: str, password: str, name: str = "", language: str = "") -> User:
    """Return an unsaved user. Raises `Invalid` if the password is weak.

    Hashing takes a tenth of a second, so call it before a transaction opens: SQLite has only one writer.
    """
    user = User(email=normalize_email(email), name=name, language=language)
    _check_password(password, user)
    user.set_password(password)
    return user


def add_user(*, actor: Actor, user: User, is_verified: bool = False) -> User:
    """Save a new user; `is_verified` is about the address. Raises `EmailTaken`."""
    taken = EmailTaken(Filled(gettext_noop("%(email)s already has an account. Sign in instead."), email=user.email))
    if address_is_taken(user.email):
        raise taken
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=is_verified)
            actor = actor.acting_as("user", user.id)
            metadata = {"emailVerified": is_verified}
            record(Draft(event=Event.USER_REGISTERED, actor=actor, user_id=user.id, metadata=metadata))
    except IntegrityError as error:
        raise taken from error
    return user


def register_user(*, actor: Actor, email: str, password: str, name: str = "") -> User:
    """Create a user. Raises `EmailTaken`, and `Invalid` if the password is weak."""
    return add_user(actor=actor, user=new_user(email=email, password=password, name=name))


def check_password(*, actor: Actor, email: str, password: str) -> User:
    """Return the active user with this address and password. Raises `BadCredentials`, `Throttled`, `Unavailable`.

    An unknown account costs the same work as a wrong password, so response times do not reveal which accounts exist.
    """
    email = normalize_email(email)
    user = User.objects.annotate(is_known_here=has_signed_in_from(actor)).filter(email=email).first()
    throttle = SignInThrottle(email=email, actor=actor, is_known=user is not None and user.is_known_here)
    throttle.attempt()
    try:
        is_right = _is_right(password, user)
    except Unavailable:
        throttle.withdraw()
        raise
    if user is not None and is_right and user.is_active:
        throttle.succeed()
        return user
    if user is not None:
        record_failed_sign_in(actor=actor, user=user)
    if throttle.refusal is not None:
        raise throttle.refusal
    raise BadCredentials(gettext_noop("The email address or password is wrong. Check both and try again."))


def open_session(*, actor: Actor, user: User, method: str = "password") -> OpenedSession:
    """Open an API session for 12 hours. Raises `NotAuthenticated` like `record_sign_in`."""
    token, now = secrets.new_secret("st"), clock.now()
    with transaction.atomic():
        record_sign_in(actor=actor, user=user, method=method)
        session = SessionToken.objects.create(
            user=user,
            digest=secrets.digest(token),
            auth_hash=user.get_session_auth_hash(),
            user_agent=actor.user_agent,
            ip=actor.ip or "",
            created_at=now,
            seen_at=now,
            expires_at=now + SESSION_TOKEN_LIFETIME,
        )
    return OpenedSession(session, token)


@transaction.atomic
def record_sign_in(
    *,
    actor: Actor,
    user: User,
    method: str,
    device: str = "",
    is_new_device: bool = False,
    factors: Sequence[str] = (),
) -> None:
    """Log a sign-in, through the API or a browser, and remember its IP address and its device.

    `device` is the secret in a browser's cookie, and empty for a program. `is_new_device` is true if this sign-in sets
    the cookie. `factors` are the factors that the user proved, if the browser session has stored them.

    Raises `NotAuthenticated` if the user was deactivated or erased after the password was checked.
    """
    # The update locks the account until the commit, so that an erasure waits.
    now = clock.now()
    if not User.objects.filter(pk=user.pk, is_active=True).update(last_login=now):
        raise NotAuthenticated(gettext_noop("The account is no longer active."))
    remember_address(user=user, actor=actor)
    draft = Draft(
        event=Event.USER_SIGNED_IN,
        outcome=Outcome.ALLOWED,
        actor=actor.acting_as("user", user.id),
        user_id=user.id,
        metadata={"method": method, **({"factors": list(factors)} if factors else {})},
    )
    append([draft, *remember_device(actor=actor, user=user, secret=device, is_new=is_new_device, now=now)])


@transaction.atomic
def record_failed_sign_in(*, actor: Actor, user: User) -> None:
    record(Draft(event=Event.USER_SIGN_IN_FAILED, outcome=Outcome.DENIED, actor=actor, user_id=user.id))


def hold_account(user: User) -> User:
    """Lock the user's row until the transaction ends and return its current state.

    Raises `NotAuthenticated` if the password or the primary address has changed, or the user was deactivated, since
    `user` was read. A request that was authenticated earlier must not recreate what a reset or a deactivation has
    ended, and a link emailed to one address must not verify another.
    """
    held = User.objects.select_for_update(no_key=True, of=("self",)).get(pk=user.pk)
    if (held.password, held.email) != (user.password, user.email) or not held.is_active:
        raise NotAuthenticated(gettext_noop("The account has changed. Sign in again."))
    return held


def lock_user(user_id: str | None) -> User | None:
    """Lock the user's row, whether active or not, until the transaction ends. Return None for an unknown id."""
    return User.objects.select_for_update(no_key=True, of=("self",)).filter(pk=user_id).first()


def deactivate_user(*, actor: Actor, user: User, reason: str) -> None:
    """Deactivate a user: end their sessions and deny every request from agents that act for them."""
    with revocation():
        changed = User.objects.filter(id=user.id, is_active=True).update(is_active=False)
        SessionToken.objects.filter(user=user).delete()
        BrowserSession.objects.filter(user_id=user.id).delete()
        if changed:
            _record_activation(Event.USER_DEACTIVATED, actor=actor, user=user, reason=reason)
            account_deactivated.send(sender=User, user=user, actor=actor, now=clock.now())


def reactivate_user(*, actor: Actor, user: User, reason: str) -> None:
    """Reactivate a user, unless they were erased. Consents that were not revoked work again."""
    with transaction.atomic():
        if User.objects.filter(id=user.id, is_active=False, erased_at=None).update(is_active=True):
            _record_activation(Event.USER_REACTIVATED, actor=actor, user=user, reason=reason)


def delete_expired_sessions(*, limit: int = BATCH) -> int:
    """Delete up to `limit` expired API sessions; return the number deleted."""
    expired = SessionToken.objects.filter(expires_at__lte=clock.now())
    return delete_batch(expired.order_by("expires_at"), limit=limit)


def delete_unused_addresses(*, limit: int = BATCH) -> int:
    """Delete up to `limit` addresses without a sign-in in `KNOWN_ADDRESS_LIFETIME`; return the number deleted."""
    unused = KnownAddress.objects.filter(last_seen_at__lte=clock.now() - KNOWN_ADDRESS_LIFETIME)
    return delete_batch(unused.order_by("last_seen_at"), limit=limit)


def delete_expired_browser_sessions(*, limit: int = BATCH) -> int:
    """Delete up to `limit` expired browser sessions; return the number deleted."""
    expired = BrowserSession.objects.filter(expire_date__lte=clock.now())
    return delete_batch(expired.order_by("expire_date"), limit=limit)


def _is_right(password: str, user: User | None) -> bool:
    if user is None:
        make_password(password)
        return False
    return user.check_password(password)


def _record_activation(event: Event, *, actor: Actor, user: User, reason: str) -> None:
    record(Draft(event=event, actor=actor, user_id=user.id, metadata={"reason": reason}))


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        fields = tuple(FieldError("password", message) for message in error.messages)
        raise Invalid(gettext_noop("The password is too weak."), errors=fields) from error
