"""allauth's adapter: browsers sign in through the same service as the API, and emails use our own templates."""

import re
from typing import Any
from urllib.parse import unquote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.signals import user_logged_in
from django.conf import settings
from django.core.exceptions import ValidationError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext_lazy as _

from accounts import recent  # noqa: F401  connects its receivers
from accounts.errors import BadCredentials
from accounts.mails import send_mail
from accounts.mfa import used_factors
from accounts.models import User
from accounts.services import check_password, record_sign_in
from accounts.sessions import STARTED_AT
from core import clock
from core.browser import device_secret, remember_device
from core.errors import Throttled
from core.http import MAX_URL_LENGTH, visitor

# Names of the URLs of pages that accept GET. From any other page, a browser would get bare JSON or a 405.
PAGE = re.compile(r"(web:|portal:|admin:(?!logout$)|oauth:authorize$|docs$|account_|mfa_|passkey_)")
DOTS = {".", ".."}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("The email address or password is wrong."),
        "enter_current_password": _("This is not your current password."),
        "incorrect_password": _("This is not your password."),
        "invalid_password_reset": _("This link no longer works. Request a new one."),
    }

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return the user with this primary address and password. Raises `ValidationError` when throttled."""
        email, password = str(credentials.get("email") or ""), str(credentials.get("password") or "")
        try:
            return check_password(actor=visitor(request), email=email, password=password)
        except Throttled as error:
            raise ValidationError(error.translated) from error
        except BadCredentials:
            return None

    def get_login_stages(self) -> list[str]:
        """Return the only step after the password. allauth's other steps verify addresses; our own codes do that."""
        return ["accounts.mfa.SecondStep"]

    def get_reauthentication_methods(self, user: User) -> list[dict[str, str]]:
        """Return our page, which takes the password or a passkey. A code from an app is not enough."""
        return [{"id": "reauthenticate", "description": "", "url": reverse("account_reauthenticate")}]

    def is_ajax(self, request: HttpRequest) -> bool:
        """Return False: allauth's JSON response would repeat the submitted form, including the password."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        name = template_prefix.removeprefix("account/email/")
        send_mail(name, to=email, actor=visitor(self.request), facts=context)

    def get_reset_password_from_key_url(self, key: str) -> str:
        user_id, _dash, token = key.partition("-")
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_id, "key": token})
        return f"{settings.API_URL}{path}"

    def is_safe_url(self, url: str | None) -> bool:
        """Return whether a sign-in may redirect to `url`: the path of one of our pages, with or without a query."""
        if not url or len(url) > MAX_URL_LENGTH or not url.startswith("/") or url.startswith("//"):
            return False
        return bool(super().is_safe_url(url)) and _is_page(url)

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that the proxy middleware has determined."""
        return visitor(request).ip or ""


def _is_page(url: str) -> bool:
    """Return whether the path leads to a page that takes GET. The server decodes it, and browsers resolve dots."""
    path = unquote(re.split(r"[?#]", url)[0])
    try:
        found = resolve(path)
    except Resolver404:
        return False
    return bool(found.url_name and PAGE.match(found.view_name)) and DOTS.isdisjoint(path.split("/"))


@receiver(user_logged_in)
def log_sign_in(request: HttpRequest, user: User, response: HttpResponse, **kwargs: Any) -> None:
    """Log the sign-in, and set the cookie by which this user's browser is recognized."""
    secret, is_new = device_secret(request)
    factors, actor = used_factors(request, user), visitor(request)
    record_sign_in(actor=actor, user=user, method="browser", device=secret, is_new_device=is_new, factors=factors)
    request.session[STARTED_AT] = clock.now().timestamp()
    remember_device(response, secret)
