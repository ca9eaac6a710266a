"""allauth's forms for passwords, led through our services."""

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from django import forms
from django.core.exceptions import ValidationError

from accounts import passwords
from accounts.addresses import normalize_email
from accounts.models import User
from accounts.throttles import throttle_registration
from core.actor import visitor
from core.errors import Throttled


class SignupForm(AllauthSignupForm):
    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean()
        if not self.errors:
            _throttle()
        return data


class EmailField(forms.EmailField):
    """An address in its normalized form, which is validated, compared and written to."""

    def __init__(self, **options: Any) -> None:
        widget = forms.EmailInput(attrs={"autocomplete": "email"})
        super().__init__(**{"label": "Email", "max_length": 254, "widget": widget, **options})

    def to_python(self, value: Any) -> str:
        return normalize_email(super().to_python(value) or "")


class ResetPasswordForm(allauth_forms.ResetPasswordForm):
    """Only a person's primary address brings a link; any other gets a mail that says that it is nobody's."""

    email = EmailField()

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        self.users = list(User.objects.filter(email=email, is_active=True))
        return email

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            _throttle()
        return data


class ResetPasswordKeyForm(allauth_forms.ResetPasswordKeyForm):
    def save(self) -> None:
        actor = visitor(context.request)
        passwords.reset_password(actor=actor, user=self.user, password=self.cleaned_data["password1"])


class ChangePasswordForm(allauth_forms.ChangePasswordForm):
    def save(self) -> None:
        actor = visitor(context.request)
        passwords.change_password(actor=actor, user=self.user, password=self.cleaned_data["password1"])


def _throttle() -> None:
    try:
        throttle_registration(visitor(context.request))
    except Throttled as error:
        raise ValidationError(error.detail) from error
