"""Reads of a user's passkeys, authenticator app and recovery codes.

They are rows of allauth's `Authenticator`. A user has at most one authenticator app and one set of recovery codes.
"""

from dataclasses import dataclass
from datetime import datetime

from allauth.mfa.models import Authenticator
from django.db.models import QuerySet

from accounts.models import User
from core.crypto import SealBroken
from core.errors import NotFound

PASSKEY, TOTP, RECOVERY_CODES = Authenticator.Type.WEBAUTHN, Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """What a user has set up. `codes_left` is None without recovery codes."""

    passkeys: list[Authenticator]
    totp: Authenticator | None
    codes_left: int | None
    codes_created_at: datetime | None

    @property
    def has_any(self) -> bool:
        return bool(self.passkeys or self.totp)


def second_factors_of(user: User) -> SecondFactors:
    rows = list(Authenticator.objects.filter(user=user).order_by("pk"))
    codes = next((row for row in rows if row.type == RECOVERY_CODES), None)
    return SecondFactors(
        passkeys=[row for row in rows if row.type == PASSKEY],
        totp=next((row for row in rows if row.type == TOTP), None),
        codes_left=None if codes is None else codes_left(codes),
        codes_created_at=None if codes is None else codes.created_at,
    )


def passkeys_of(user: User) -> QuerySet[Authenticator]:
    rows: QuerySet[Authenticator] = Authenticator.objects.filter(user=user, type=PASSKEY).order_by("pk")
    return rows


def own_passkey(user: User, passkey_id: str) -> Authenticator:
    """Return one of the user's passkeys. Raises `NotFound`."""
    found = passkeys_of(user).filter(pk=int(passkey_id)).first() if passkey_id.isdecimal() else None
    if found is None:
        raise NotFound("No such passkey.")
    return found


def kinds_of(user: User) -> set[str]:
    """Return the types of second factors that the user can use."""
    return set(Authenticator.objects.filter(user=user).values_list("type", flat=True))


def has_second_factor(user: User) -> bool:
    """Return whether this user needs more than the password to sign in."""
    return bool(kinds_of(user) & {PASSKEY, TOTP})


def codes_left(codes: Authenticator) -> int:
    """Return the number of unused recovery codes, 0 if they cannot be read."""
    try:
        return len(codes.wrap().get_unused_codes())
    except SealBroken:
        return 0
