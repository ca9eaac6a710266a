"""allauth's sign-up form, throttled like the API's registration."""

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from django.core.exceptions import ValidationError

from accounts.throttles import throttle_registration
from core.actor import visitor
from core.errors import Throttled


class SignupForm(AllauthSignupForm):
    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean()
        if not self.errors:
            self._throttle()
        return data

    def _throttle(self) -> None:
        try:
            throttle_registration(visitor(context.request))
        except Throttled as error:
            raise ValidationError(error.detail) from error
