"""Limits on sign-ins and registrations, by IP address and by account."""

from contextlib import AbstractContextManager

from django.conf import settings
from django.db.models import Exists, OuterRef

from accounts.errors import PasskeyRefused, WrongSecondFactor
from accounts.models import KnownAddress, User
from core import clock
from core.actor import Actor
from core.crypto import keyed_digest
from core.errors import Throttled
from limits.throttle import (
    ACCOUNT_TIMES,
    Subject,
    Throttle,
    address_group,
    address_subject,
    address_subjects,
    check_all,
)

# Of wrong codes per account.
SECOND_STEP_RATE = "10/hour"

# Emails to one address with a link to reset a password, or a notice that it has no account. A link works for an hour.
RESET_MAILS = "5/hour"
# Emails to one address that someone else wants to be sent, such as invitations, from all senders together.
STRANGER_MAILS = "10/day"
# Emails of one kind to one user about one organization. Its members cause them.
MEMBER_MAILS = "20/day"
SUCCESSES_TIMES = 6  # times THROTTLE_SIGN_IN
CHALLENGES_TIMES = 6  # times THROTTLE_SIGN_IN


class SignInThrottle:
    """Limits sign-ins by IP address and account: failed ones, and successful ones because hashing is expensive.

    Concurrent failures count exactly: each attempt counts before the password is checked, and is taken back if the
    password was correct. At an address from which the user has signed in before, attempts are refused only for failures
    of this account from that address, so strangers' guesses never lock the owner out there. Successful sign-ins are
    counted afterwards, so concurrent ones may exceed the limit.

    Responses must not reveal whether an account is known at an address. So its failures count for the address like all
    others, and once the address reaches its limit, a wrong password gets the same `refusal` as an unknown account.
    """

    def __init__(self, *, email: str, actor: Actor, is_known: bool) -> None:
        """Make the throttle for an account. `is_known` says whether its user has signed in from this address before."""
        self.failures = Throttle("sign-in", settings.THROTTLE_SIGN_IN)
        self.successes = Throttle("signed-in", settings.THROTTLE_SIGN_IN)
        account = keyed_digest("throttle-account", email.encode())
        strangers = _failing(account, actor, is_known=False)
        self.failing = _failing(account, actor, is_known=True) if is_known else strangers
        self.strangers = strangers if is_known else ()
        self.succeeding = _succeeding(account, actor)
        self.refusal: Throttled | None = None

    def attempt(self) -> None:
        """Count a failure, which `succeed` and `withdraw` take back. Raises `Throttled`."""
        check_all((self.successes, self.succeeding), (self.failures, self.failing))
        own, *among_strangers = self.failures.hit_checked(*filter(None, (self.failing, self.strangers)))
        if any(among_strangers):
            (self.refusal,), self.strangers = among_strangers, ()
        if own is not None:
            raise own

    def withdraw(self) -> None:
        """Take back the failure that `attempt` counted, because the password was not checked."""
        self.failures.forgive(*self.failing, *self.strangers)

    def succeed(self) -> None:
        """Replace the failure that `attempt` counted with a success."""
        self.failures.succeed(*self.failing, *self.strangers, counted=self.succeeding, by=self.successes)


def second_step_attempt(*, user: User, actor: Actor) -> AbstractContextManager[None]:
    """Count a `WrongSecondFactor` raised inside by account. Raises `Throttled`. Use it outside any transaction.

    An attacker who has the password could guess a six-digit code, so the limit per account does not grow with the
    number of addresses. Addresses from which the user has signed in before have a separate limit.
    """
    account = keyed_digest("throttle-account", user.id.encode())
    is_known = KnownAddress.objects.filter(user=user, digest=_address_digest(actor)).exists()
    place = f":{address_group(actor.ip or '')}" if is_known else ""
    throttle = Throttle("second-step", SECOND_STEP_RATE)
    return throttle.guess(Subject(f"account:{account}{place}"), wrong=WrongSecondFactor)


def passkey_attempt(actor: Actor) -> AbstractContextManager[None]:
    """Count a `PasskeyRefused` raised inside by IP address. Raises `Throttled`. Use it outside any transaction."""
    throttle = Throttle("passkey", settings.THROTTLE_SIGN_IN)
    return throttle.guess(*address_subjects(actor.ip or ""), wrong=PasskeyRefused)


def throttle_challenges(actor: Actor) -> None:
    """Count a new challenge for a passkey by IP address, because each is stored. Raises `Throttled`."""
    subjects = [Subject(one.name, CHALLENGES_TIMES * one.times) for one in address_subjects(actor.ip or "")]
    Throttle("passkey-challenge", settings.THROTTLE_SIGN_IN).hit(*subjects)


def may_mail_reset(email: str) -> bool:
    """Count an email about a reset to this address. Return whether it may be sent."""
    return _may_mail(Throttle("reset-mail", RESET_MAILS), email)


def may_mail_stranger(email: str) -> bool:
    """Count an email to this address that someone else wants to be sent. Return whether it may be sent."""
    return _may_mail(Throttle("stranger-mail", STRANGER_MAILS), email)


def may_mail_member(name: str, user_id: str, organization_id: str) -> bool:
    """Count an email of this kind to a user about an organization. Return whether it may be sent."""
    return _may_mail(Throttle("member-mail", MEMBER_MAILS), f"{name} {user_id} {organization_id}")


def throttle_registration(actor: Actor) -> None:
    """Count a registration from this IP address. Raises `Throttled`."""
    Throttle("registration", settings.THROTTLE_REGISTRATION).hit(*address_subjects(actor.ip or ""))


def has_signed_in_from(actor: Actor) -> Exists:
    """Return a condition for the outer query: the user has signed in from this IP address before."""
    return Exists(KnownAddress.objects.filter(user=OuterRef("pk"), digest=_address_digest(actor)))


def remember_address(*, user: User, actor: Actor) -> None:
    """Record that the user has signed in from this IP address."""
    row = KnownAddress(user=user, digest=_address_digest(actor), last_seen_at=clock.now())
    KnownAddress.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["user", "digest"], update_fields=["last_seen_at"]
    )


def _may_mail(throttle: Throttle, to: str) -> bool:
    try:
        throttle.hit(Subject(keyed_digest("throttle-account", to.encode())))
    except Throttled:
        return False
    return True


def _failing(account: str, actor: Actor, *, is_known: bool) -> tuple[Subject, ...]:
    if is_known:
        return (Subject(f"owner:{account}:{address_group(actor.ip or '')}"),)
    return (*address_subjects(actor.ip or ""), Subject(f"account:{account}", ACCOUNT_TIMES))


def _succeeding(account: str, actor: Actor) -> tuple[Subject, ...]:
    address = address_subject(actor.ip or "").name
    return (Subject(address, SUCCESSES_TIMES), Subject(f"account:{account}", SUCCESSES_TIMES))


def _address_digest(actor: Actor) -> str:
    return keyed_digest("known-address", address_group(actor.ip or "").encode())
