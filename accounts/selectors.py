"""Reads of users, their sessions and addresses."""

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_noop

from accounts.errors import EmailUnverified
from accounts.models import SessionToken, User
from core import clock, secrets
from core.crypto import keyed_digest


def session_for_token(token: str) -> SessionToken | None:
    """Return the live session of an active user whose password has not changed since. None otherwise."""
    live = SessionToken.objects.select_related("user").filter(expires_at__gt=clock.now(), user__is_active=True)
    session = live.filter(digest=secrets.digest(token)).first()
    if session is None or not constant_time_compare(session.auth_hash, session.user.get_session_auth_hash()):
        return None
    return session


def sessions_for_user(user: User) -> QuerySet[SessionToken]:
    """Return the user's live API sessions, newest first."""
    return SessionToken.objects.filter(user=user, expires_at__gt=clock.now())


def browser_session_id(session_key: str) -> str:
    """Return the id by which pages refer to a browser session. It is a digest, because the key is a credential."""
    return f"brs_{keyed_digest('browser-session', session_key.encode())[:32]}"


def has_verified_address(user: User) -> bool:
    """Return whether the user's primary address is verified."""
    return bool(EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists())


def is_main_address(email: str) -> bool:
    """Return whether a normalized address is an account's primary one, which signs in and receives reset links."""
    return bool(User.objects.filter(email=email).exists())


def address_is_taken(email: str) -> bool:
    """Return whether a normalized address is an account's primary address, or a verified one of any account."""
    verified = EmailAddress.objects.filter(email=email, verified=True)
    return any([is_main_address(email), verified.exists()])


def require_verified_address(user: User) -> None:
    """Raise `EmailUnverified` if addresses must be verified and this user's is not."""
    if settings.REQUIRE_VERIFIED_EMAIL and not has_verified_address(user):
        raise EmailUnverified(gettext_noop("Request a code for your address, then confirm the address with the code."))


def addresses_of(user: User) -> list[EmailAddress]:
    """Return the user's addresses, the primary one first even if it has no row yet."""
    rows = list(EmailAddress.objects.filter(user=user).order_by("-primary", "email"))
    if all(row.email != user.email for row in rows):
        rows.insert(0, EmailAddress(user=user, email=user.email, primary=True))
    return rows
