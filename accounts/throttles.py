"""Limits on guessing and on registering, by address and by account."""

from django.conf import settings

from accounts.addresses import normalize_email
from accounts.models import KnownAddress, User
from core import clock
from core.actor import Actor
from core.crypto import keyed_digest
from limits.throttle import ACCOUNT_TIMES, Subject, Throttle, address_group, address_subject, address_subjects

SUCCESSES_TIMES = 6  # times THROTTLE_SIGN_IN


class SignInThrottle:
    """Limits failed sign-ins by address and account, and those that succeed, because hashing a password is expensive.

    Failures made at once count exactly: each counts before the password is looked at and is given back when it was
    right. At an address from which the person has signed in before, only the failures of this account made there
    count, so strangers' guesses never stop the owner there. Sign-ins that succeed count afterwards: several under way
    at once may go beyond the limit by as many.
    """

    def __init__(self, *, email: str, actor: Actor) -> None:
        self.failures = Throttle("sign-in", settings.THROTTLE_SIGN_IN)
        self.successes = Throttle("signed-in", settings.THROTTLE_SIGN_IN)
        email = normalize_email(email)
        account = keyed_digest("throttle-account", email.encode())
        self.failing = _failing(email, account, actor)
        self.succeeding = _succeeding(account, actor)

    def attempt(self) -> None:
        """Count a failure until the password proves right. Raises `Throttled`."""
        self.successes.check(*self.succeeding)
        self.failures.hit(*self.failing)

    def succeed(self) -> None:
        """Count a success instead of the failure: the password was right."""
        self.failures.forgive(*self.failing)
        self.successes.count(*self.succeeding)


def throttle_registration(actor: Actor) -> None:
    """Count a registration from this address. Raises `Throttled`."""
    Throttle("registration", settings.THROTTLE_REGISTRATION).hit(*address_subjects(actor.ip or ""))


def remember_address(*, user: User, actor: Actor) -> None:
    """Note that the person has signed in from here."""
    KnownAddress.objects.update_or_create(
        user=user, digest=_address_digest(actor), defaults={"last_seen_at": clock.now()}
    )


def _failing(email: str, account: str, actor: Actor) -> tuple[Subject, ...]:
    if KnownAddress.objects.filter(user__email=email, digest=_address_digest(actor)).exists():
        return (Subject(f"owner:{account}:{address_group(actor.ip or '')}"),)
    return (*address_subjects(actor.ip or ""), Subject(f"account:{account}", ACCOUNT_TIMES))


def _succeeding(account: str, actor: Actor) -> tuple[Subject, ...]:
    address = address_subject(actor.ip or "").name
    return (Subject(address, SUCCESSES_TIMES), Subject(f"account:{account}", SUCCESSES_TIMES))


def _address_digest(actor: Actor) -> str:
    return keyed_digest("known-address", address_group(actor.ip or "").encode())
