"""allauth's hooks: the browser's sign-in obeys the same throttle and writes the same log as the API's."""

from typing import Any
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.signals import user_logged_in
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.urls import reverse

from accounts.addresses import normalize_email
from accounts.mails import send_mail
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

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        send_mail(
            template_prefix.removeprefix("account/email/"), to=email, actor=visitor(self.request), context=context
        )

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.API_URL + path.replace("UID-KEY", quote(key))

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


def _email(credentials: dict[str, Any]) -> str:
    return normalize_email(str(credentials.get("email") or credentials.get("username") or ""))


def _throttle(request: HttpRequest, credentials: dict[str, Any]) -> SignInThrottle:
    return SignInThrottle(email=_email(credentials), actor=visitor(request))
