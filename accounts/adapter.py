"""allauth's hooks: the browser's sign-in obeys the same throttle and writes the same log as the API's."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.signals import password_changed, password_reset, user_logged_in
from django.core.exceptions import ValidationError
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User
from accounts.services import record_failed_sign_in, record_sign_in
from accounts.throttles import SignInThrottle
from audit.events import Event
from audit.services import Draft, record
from core.actor import visitor
from core.errors import Throttled


class AccountAdapter(DefaultAccountAdapter):
    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            _throttle(request, credentials).attempt()
        except Throttled as error:
            raise ValidationError(error.detail) from error

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        user = super().authenticate(request, **credentials)
        if user is not None:
            _throttle(request, credentials).succeed()
        return user

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        user = User.objects.filter(email=_email(credentials)).first()
        if user is not None:
            record_failed_sign_in(actor=visitor(request), user=user)

    def save_user(self, request: HttpRequest, user: Any, form: Any, commit: bool = True) -> Any:
        with transaction.atomic():
            user = super().save_user(request, user, form, commit)
            actor = visitor(request).acting_as("user", user.id)
            record(Draft(event=Event.USER_REGISTERED, actor=actor, user_id=user.id))
        return user

    def get_client_ip(self, request: HttpRequest) -> str:
        """The proxy middleware has already settled it."""
        return visitor(request).ip or ""


@receiver(user_logged_in)
def log_sign_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    record_sign_in(actor=visitor(request), user=user, method="browser")


@receiver(password_changed)
@receiver(password_reset)
def log_password_change(request: HttpRequest, user: User, **kwargs: Any) -> None:
    with transaction.atomic():
        actor = visitor(request).acting_as("user", user.id)
        record(Draft(event=Event.USER_PASSWORD_CHANGED, actor=actor, user_id=user.id))


def _email(credentials: dict[str, Any]) -> str:
    return str(credentials.get("email") or credentials.get("username") or "").lower()


def _throttle(request: HttpRequest, credentials: dict[str, Any]) -> SignInThrottle:
    return SignInThrottle(email=_email(credentials), actor=visitor(request))
