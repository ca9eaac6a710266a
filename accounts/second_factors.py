"""Add, remove and use second factors: passkeys, an authenticator app, and recovery codes.

Each change locks the account, is logged, and sends an email to the primary address. Pages allow them only after a
recent sign-in. Recovery codes are created with the first factor and end with the last one. The first factor ends all
other sessions, because they began without it: who knew the password and signed in before would go on, and could remove
the factor.

allauth's table, its encryption and its sign-in step are used. Its flows are not: they count failed codes in the cache,
which may be lost, use one challenge for every purpose, and log after the commit. Neither a password reset nor the admin
site skips the second step. A code alone is not a recent sign-in, because six digits can be read over a shoulder.
"""

import secrets
from base64 import b32encode
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.utils import decrypt, encrypt
from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.authenticators import (
    PASSKEY,
    RECOVERY_CODES,
    TOTP,
    has_second_factor,
    kinds_of,
    own_passkey,
    passkeys_of,
)
from accounts.errors import PasskeyRefused, SecondFactorRequired, WrongSecondFactor
from accounts.mails import send_mail
from accounts.models import User
from accounts.passkeys import Assertion
from accounts.services import hold_account, lock_user
from accounts.session_ends import end_other_sessions
from accounts.throttles import second_step_attempt
from accounts.totp import matching_step
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import record
from core import clock
from core.actor import Actor
from core.crypto import SealBroken
from core.errors import Conflict, Invalid, NotFound
from core.text import plain_text
from core.wording import Filled

MAX_PASSKEYS, MAX_NAME = 10, 60
SECRET_BYTES = 20


def new_secret() -> str:
    """Return a new secret for an authenticator app, in Base32."""
    return b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


@transaction.atomic
def add_passkey(
    *, actor: Actor, user: User, name: str, credential: dict[str, Any], kept_key: str | None = None
) -> list[str]:
    """Store a passkey and return new recovery codes, or none if the user already has some.

    If it is the first factor, all sessions but the browser session with the key `kept_key` end. `credential` is the
    result of `complete_registration`. Raises `Invalid`, `Conflict` and `NotAuthenticated`.
    """
    held, name = hold_account(user), plain_text(name)
    if not 0 < len(name) <= MAX_NAME:
        raise Invalid.field("name", Filled(gettext_noop("Must have 1 to %(most)d characters."), most=MAX_NAME))
    own = list(passkeys_of(held))
    if len(own) >= MAX_PASSKEYS:
        raise Conflict(
            Filled(gettext_noop("An account can have at most %(most)d passkeys. Remove one first."), most=MAX_PASSKEYS)
        )
    if any(row.data["credential"]["rawId"] == credential["rawId"] for row in own):
        raise Conflict(gettext_noop("This passkey is already one of yours."))
    Authenticator.objects.create(
        user=held, type=PASSKEY, data={"name": name, "credential": credential}, created_at=clock.now()
    )
    _changed(Event.USER_PASSKEY_ADDED, actor, held, "passkey_added", name=name)
    return _begin(actor, held, kept_key)


@transaction.atomic
def remove_passkey(*, actor: Actor, user: User, passkey_id: str) -> None:
    """Remove a passkey. Raises `NotFound`, `NotAuthenticated`."""
    held = hold_account(user)
    row = own_passkey(held, passkey_id)
    row.delete()
    _changed(Event.USER_PASSKEY_REMOVED, actor, held, "passkey_removed", name=row.data["name"])
    _end_codes_without_factor(held)


@transaction.atomic
def add_totp(*, actor: Actor, user: User, secret: str, code: str, kept_key: str | None = None) -> list[str]:
    """Set up the app with this secret if the code proves it, and return new recovery codes as `add_passkey` does.

    It ends sessions as `add_passkey` does.

    Raises `WrongSecondFactor`, `Conflict` and `NotAuthenticated`.
    """
    held = hold_account(user)
    if TOTP in kinds_of(held):
        raise Conflict(gettext_noop("An authenticator app is already set up. Remove it first."))
    step = matching_step(secret, code)
    if step is None:
        raise WrongSecondFactor
    data = {"secret": encrypt(secret), "last_step": step}
    Authenticator.objects.create(user=held, type=TOTP, data=data, created_at=clock.now())
    _changed(Event.USER_TOTP_ADDED, actor, held, "totp_added")
    return _begin(actor, held, kept_key)


@transaction.atomic
def remove_totp(*, actor: Actor, user: User) -> None:
    """Remove the authenticator app. Raises `NotFound`, `NotAuthenticated`."""
    held = hold_account(user)
    if not Authenticator.objects.filter(user=held, type=TOTP).delete()[0]:
        raise NotFound("No authenticator app is set up.")
    _changed(Event.USER_TOTP_REMOVED, actor, held, "totp_removed")
    _end_codes_without_factor(held)


@transaction.atomic
def replace_recovery_codes(*, actor: Actor, user: User) -> list[str]:
    """Return new recovery codes. Earlier ones stop working. Raises `NotFound` if the user has no second factor."""
    held = hold_account(user)
    if not has_second_factor(held):
        raise NotFound("No second factor is set up.")
    Authenticator.objects.filter(user=held, type=RECOVERY_CODES).delete()
    _changed(Event.USER_RECOVERY_CODES_CREATED, actor, held, "recovery_codes_created")
    return _make_codes(held)


@transaction.atomic
def remove_second_factors(*, actor: Actor, user: User, reason: str) -> bool:
    """Remove all second factors at the request of a user who has lost them. Return whether there were any.

    The password is still needed, so an administrator cannot sign in as the user.
    """
    held = lock_user(user.pk)
    if held is None or not Authenticator.objects.filter(user=held).delete()[0]:
        return False
    draft = Draft(event=Event.USER_SECOND_FACTORS_REMOVED, actor=actor, user_id=held.id, metadata={"reason": reason})
    record(draft)
    facts, actor = {"change": "second_factors_removed"}, actor._replace(ip=None)
    send_mail("security_changed", user=held, actor=actor, facts=facts)
    return True


@transaction.atomic
def use_passkey(*, actor: Actor, assertion: Assertion) -> User:
    """Record that the passkey signed the challenge, and return its user. A challenge can be used once.

    Raises `PasskeyRefused` if the passkey was removed meanwhile, and `NotAuthenticated` if the account has changed.
    """
    held = hold_account(assertion.user)
    row = passkeys_of(held).filter(pk=assertion.passkey.pk).first()
    if row is None or row.data.get("last_challenge") == assertion.challenge:
        raise PasskeyRefused
    row.data["last_challenge"], row.last_used_at = assertion.challenge, clock.now()
    row.save(update_fields=["data", "last_used_at"])
    return held


def check_code(*, actor: Actor, user: User, code: str) -> str:
    """Use a code from the authenticator app, or a recovery code, and return its type. Each code works once.

    `user` is the user as read when the password was checked. Raises `WrongSecondFactor`, `Throttled`, and
    `NotAuthenticated` if the account has changed since. Use it outside any transaction.
    """
    try:
        with second_step_attempt(user=user, actor=actor):
            return _use_code(actor, user, code)
    except WrongSecondFactor:
        _record_failure(actor, user)
        raise


def require_second_factor(*, actor: Actor, user: User, code: str) -> None:
    """Check the second factor, if the account has one, of a program that sent the correct password.

    This works only for accounts with an authenticator app: a program cannot use a passkey, and recovery codes are for a
    lost app. Raises `SecondFactorRequired` and the errors of `check_code`.
    """
    kinds = kinds_of(user)
    if not kinds & {PASSKEY, TOTP}:
        return
    if TOTP not in kinds:
        raise SecondFactorRequired(
            gettext_noop(
                "This account has a passkey, which works only on the website. To log in here, add an authenticator app."
            )
        )
    if not code:
        raise SecondFactorRequired(
            gettext_noop("Send the code of the authenticator app, or a recovery code, as `code`.")
        )
    check_code(actor=actor, user=user, code=code)


@transaction.atomic
def _use_code(actor: Actor, user: User, code: str) -> str:
    held = hold_account(user)
    rows = {row.type: row for row in Authenticator.objects.filter(user=held).exclude(type=PASSKEY)}
    if TOTP in rows and _use_step(rows[TOTP], code):
        return str(TOTP)
    left = _use_recovery_code(rows[RECOVERY_CODES], code) if RECOVERY_CODES in rows else None
    if left is None:
        raise WrongSecondFactor
    _changed(Event.USER_RECOVERY_CODE_USED, actor, held, "recovery_code_used", left=left)
    return str(RECOVERY_CODES)


def _use_step(app: Authenticator, code: str) -> bool:
    """Return whether the code is correct. It and all earlier ones stop working (RFC 6238, section 5.2)."""
    try:
        step = matching_step(decrypt(app.data["secret"]), code, after=app.data.get("last_step", 0))
    except SealBroken:
        return False
    if step is None:
        return False
    app.data["last_step"], app.last_used_at = step, clock.now()
    app.save(update_fields=["data", "last_used_at"])
    return True


def _use_recovery_code(row: Authenticator, code: str) -> int | None:
    """Use the recovery code and return the number of codes left, or None if it is wrong."""
    codes = RecoveryCodes(row)
    try:
        if not codes.validate_code(code):
            return None
        left = len(codes.get_unused_codes())
    except SealBroken:
        return None
    Authenticator.objects.filter(pk=row.pk).update(last_used_at=clock.now())
    return left


def _begin(actor: Actor, held: User, kept_key: str | None) -> list[str]:
    """If this is the user's first factor, end the sessions that began without it, and return recovery codes."""
    if RECOVERY_CODES in kinds_of(held):
        return []
    actor = actor.acting_as("user", held.id)
    end_other_sessions(actor=actor, user=held, kept_key=kept_key)
    record(Draft(event=Event.USER_RECOVERY_CODES_CREATED, actor=actor, user_id=held.id))
    return _make_codes(held)


def _make_codes(held: User) -> list[str]:
    codes: list[str] = RecoveryCodes.activate(held).generate_codes()
    return codes


def _end_codes_without_factor(held: User) -> None:
    if not has_second_factor(held):
        Authenticator.objects.filter(user=held).delete()


def _changed(event: Event, actor: Actor, held: User, change: str, *, name: str = "", left: int | None = None) -> None:
    """Log the change, with the name of a passkey as personal data, and email the user about it.

    `change` is one of `accounts.account_mails.CHANGES`.
    """
    personal = {"passkey": name} if name else {}
    metadata = {} if left is None else {"codesLeft": left}
    actor = actor.acting_as("user", held.id)
    record(Draft(event=event, actor=actor, user_id=held.id, personal=personal, metadata=metadata))
    facts = {"change": change, "name": name, "left": left}
    send_mail("security_changed", user=held, actor=actor, facts=facts)


@transaction.atomic
def _record_failure(actor: Actor, user: User) -> None:
    record(Draft(event=Event.USER_SECOND_FACTOR_FAILED, outcome=Outcome.DENIED, actor=actor, user_id=user.id))
