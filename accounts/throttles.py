"""Limits on guessing and on registering, by address and by account."""

from django.conf import settings

from accounts.models import KnownAddress, User
from core import clock
from core.actor import Actor
from core.crypto import keyed_digest
from core.throttle import Throttle, address_subject


class SignInThrottle:
    """Counts failed sign-ins by address and by account.

    Guesses made at once count exactly: each counts before it is looked at and is given back when it was right.
    An address that the person has signed in from before is counted on its own, so that a stranger's guesses slow the
    stranger and not the owner.
    """

    def __init__(self, *, email: str, actor: Actor) -> None:
        self.throttle = Throttle("sign-in", settings.THROTTLE_SIGN_IN)
        self.subjects = _sign_in_subjects(email.lower(), actor)

    def attempt(self) -> None:
        """Count an attempt before its password is looked at. Raises `Throttled` when there were too many failures."""
        self.throttle.hit(*self.subjects)

    def succeed(self) -> None:
        """Take the attempt back: the password was right."""
        self.throttle.forgive(*self.subjects)


def throttle_registration(actor: Actor) -> None:
    """Count a registration from this address. Raises `Throttled`."""
    Throttle("registration", settings.THROTTLE_REGISTRATION).hit(address_subject(actor.ip or ""))


def remember_address(*, user: User, actor: Actor) -> None:
    """Note that the person has signed in from here."""
    KnownAddress.objects.update_or_create(
        user=user, digest=_address_digest(actor), defaults={"last_seen_at": clock.now()}
    )


def _sign_in_subjects(email: str, actor: Actor) -> tuple[str, ...]:
    address, account = address_subject(actor.ip or ""), keyed_digest("throttle-account", email.encode())
    if KnownAddress.objects.filter(user__email=email, digest=_address_digest(actor)).exists():
        return (f"owner:{account}:{address}",)
    return (address, f"account:{account}")


def _address_digest(actor: Actor) -> str:
    return keyed_digest("known-address", (actor.ip or "").encode())
