"""What a person's account can go through."""

from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.addresses import normalize_email
from accounts.errors import BadCredentials, EmailTaken
from accounts.models import KnownAddress, SessionToken, User
from accounts.selectors import address_is_taken
from accounts.throttles import SignInThrottle, remember_address
from audit.events import Event, Outcome
from audit.services import Draft, record
from core import clock, secrets
from core.actor import Actor
from core.errors import FieldError, Invalid, NotAuthenticated, NotFound
from core.locks import revocation
from core.sweeps import BATCH, delete_batch


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session and its token, which is shown this once."""

    session: SessionToken
    token: str


def new_user(*, email: str, password: str, name: str = "") -> User:
    """Return a person not yet saved. Raises `Invalid` when the password is weak.

    Hashing takes a tenth of a second: do it before a transaction opens, for SQLite has one writer.
    """
    user = User(email=normalize_email(email), name=name)
    _check_password(password, user)
    user.set_password(password)
    return user


def add_user(*, actor: Actor, user: User, is_verified: bool = False) -> User:
    """Save a new person, with a proved address or not. Raises `EmailTaken`."""
    taken = EmailTaken(f"{user.email} already has an account. Sign in instead.")
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
    """Create a person. Raises `EmailTaken`, and `Invalid` when the password is weak."""
    return add_user(actor=actor, user=new_user(email=email, password=password, name=name))


def check_password(*, actor: Actor, email: str, password: str) -> User:
    """Return the active person with this password. Raises `BadCredentials`, `Throttled`.

    An unknown account costs the same work as a wrong password, so time tells nothing.
    """
    throttle = SignInThrottle(email=email, actor=actor)
    throttle.attempt()
    user = User.objects.filter(email=normalize_email(email)).first()
    if user is None:
        make_password(password)
    elif user.check_password(password) and user.is_active:
        throttle.succeed()
        return user
    if user is not None:
        record_failed_sign_in(actor=actor, user=user)
    raise BadCredentials("Check both and try again.")


def open_session(*, actor: Actor, user: User, method: str = "password") -> OpenedSession:
    """Sign `user` in at the API for 12 hours."""
    token, now = secrets.new_secret("st"), clock.now()
    with transaction.atomic():
        session = SessionToken.objects.create(
            user=user,
            digest=secrets.digest(token),
            auth_hash=user.get_session_auth_hash(),
            user_agent=actor.user_agent,
            created_at=now,
            expires_at=now + settings.SESSION_TOKEN_LIFETIME,
        )
        record_sign_in(actor=actor, user=user, method=method)
    return OpenedSession(session, token)


@transaction.atomic
def record_sign_in(*, actor: Actor, user: User, method: str) -> None:
    """Log a sign-in, at the API or in the browser, and remember its address."""
    remember_address(user=user, actor=actor)
    draft = Draft(
        event=Event.USER_SIGNED_IN,
        outcome=Outcome.ALLOWED,
        actor=actor.acting_as("user", user.id),
        user_id=user.id,
        metadata={"method": method},
    )
    record(draft)


@transaction.atomic
def record_failed_sign_in(*, actor: Actor, user: User) -> None:
    record(Draft(event=Event.USER_SIGN_IN_FAILED, outcome=Outcome.DENIED, actor=actor, user_id=user.id))


@transaction.atomic
def end_session(*, actor: Actor, user: User, session_id: str) -> None:
    """End one of the person's own API sessions. Raises `NotFound`."""
    deleted, _ = SessionToken.objects.filter(user=user, id=session_id).delete()
    if not deleted:
        raise NotFound("No such session.")
    record(Draft(event=Event.USER_SESSION_ENDED, actor=actor, user_id=user.id, metadata={"sessionId": session_id}))


def hold_account(user: User) -> User:
    """Lock the person's row until the transaction ends; return it as it is now.

    Raises `NotAuthenticated` when the password or the primary address has changed, or the person was deactivated,
    since `user` was read: what a reset or a deactivation ends must not be made a moment later by a request that had
    signed in before, and a link mailed to one address says nothing about another.
    """
    held = User.objects.select_for_update(no_key=True, of=("self",)).get(pk=user.pk)
    if (held.password, held.email) != (user.password, user.email) or not held.is_active:
        raise NotAuthenticated("The account has changed. Sign in again.")
    return held


def lock_person(user_id: str | None) -> None:
    """Lock the person's row, whatever has become of them, until the transaction ends; None locks nothing."""
    User.objects.select_for_update(no_key=True, of=("self",)).filter(pk=user_id).first()


def deactivate_user(*, actor: Actor, user: User, reason: str) -> None:
    """Shut a person out and stop every agent that acts for them, at once."""
    with revocation():
        changed = User.objects.filter(id=user.id, is_active=True).update(is_active=False)
        SessionToken.objects.filter(user=user).delete()
        if changed:
            _record_activation(Event.USER_DEACTIVATED, actor=actor, user=user, reason=reason)


def reactivate_user(*, actor: Actor, user: User, reason: str) -> None:
    """Let a person in again; consents that were not revoked work again."""
    with transaction.atomic():
        if User.objects.filter(id=user.id, is_active=False).update(is_active=True):
            _record_activation(Event.USER_REACTIVATED, actor=actor, user=user, reason=reason)


def delete_expired_sessions(*, limit: int = BATCH) -> int:
    """Delete up to `limit` expired API sessions; return how many."""
    return delete_batch(SessionToken.objects.filter(expires_at__lte=clock.now()), limit=limit)


def delete_unused_addresses(*, limit: int = BATCH) -> int:
    """Delete up to `limit` addresses from which their person has not signed in for long; return how many."""
    unused = KnownAddress.objects.filter(last_seen_at__lte=clock.now() - settings.KNOWN_ADDRESS_LIFETIME)
    return delete_batch(unused, limit=limit)


def delete_expired_browser_sessions(*, limit: int = BATCH) -> int:
    """Delete up to `limit` expired browser sessions; return how many."""
    return delete_batch(Session.objects.filter(expire_date__lte=clock.now()), limit=limit)


def _record_activation(event: Event, *, actor: Actor, user: User, reason: str) -> None:
    record(Draft(event=event, actor=actor, user_id=user.id, metadata={"reason": reason}))


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        fields = tuple(FieldError("password", message) for message in error.messages)
        raise Invalid("The password is too weak.", errors=fields) from error
