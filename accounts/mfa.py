"""allauth's hooks for second factors: encryption at rest, and the sign-in step that asks for the factor."""

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.stagekit import clear_login
from allauth.account.signals import user_logged_in
from allauth.account.stages import LoginStageController
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.stages import AuthenticateStage
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts.models import User
from core.crypto import open_sealed_text, seal_text

PURPOSE = "accounts.second_factor"


class MFAAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return seal_text(PURPOSE, text)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises `SealBroken` if it was encrypted with another `JWT_SECRET`."""
        return open_sealed_text(PURPOSE, encrypted_text)


class SecondStep(AuthenticateStage):
    """The second step, after a correct password. It ends after 15 minutes, and when the password changes."""

    def handle(self) -> tuple[Any, bool]:
        response, goes_on = super().handle()
        if response is not None:
            self.state["auth_hash"] = self.login.user.get_session_auth_hash()
        return response, goes_on

    @property
    def is_current(self) -> bool:
        """Whether the account still has the password that the first step checked, and is active."""
        user = self.login.user
        if user is None or not user.is_active:
            return False
        return constant_time_compare(self.state.get("auth_hash", ""), user.get_session_auth_hash())


def pending_step(request: HttpRequest) -> SecondStep | None:
    """Return the second step that this browser's sign-in waits for, or None. A password change ends it."""
    step = None if request.user.is_authenticated else LoginStageController.enter(request, SecondStep.key)
    if step is None or step.is_current:
        return step
    clear_login(request)
    return None


def used_factors(request: HttpRequest, user: User) -> list[str]:
    """Return the factors with which this session signed in: "password", "webauthn", "totp" or "recovery_codes"."""
    records = get_authentication_records(request, user)
    return list(dict.fromkeys(str(one.get("type") or one["method"]) for one in records))


@receiver(user_logged_in)
def keep_session(request: HttpRequest, **kwargs: Any) -> None:
    """Give the session its usual lifetime. It was shorter until the sign-in was complete."""
    request.session.set_expiry(settings.SESSION_COOKIE_AGE)
