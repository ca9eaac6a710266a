"""allauth's forms with our services and labels, and fields shared by several forms."""

from typing import Any

from allauth.account import app_settings
from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from allauth.core import context
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts import passwords
from accounts.addresses import normalize_email
from accounts.mails import send_mail
from accounts.models import User
from accounts.reset_tokens import ResetTokens
from accounts.throttles import may_mail_reset, throttle_registration
from core.errors import Invalid, Throttled
from core.http import visitor

SECOND_STEP_SECONDS = app_settings.LOGIN_TIMEOUT
LABELS = {
    "oldpassword": _("Current password"),
    "password": _("Password"),
    "password1": _("New password"),
    "password2": _("Confirm new password"),
}
# Further checks of `AUTH_PASSWORD_VALIDATORS` only have errors.
PASSWORD_HELP = format_lazy(
    _("At least {number} characters, and not a common password."), number=settings.MIN_PASSWORD_LENGTH
)


class EmailField(forms.EmailField):
    """An email address. The value is its normalized form."""

    def __init__(self, **options: Any) -> None:
        widget = forms.EmailInput(attrs={"autocomplete": "email"})
        super().__init__(**{"label": _("Email"), "max_length": 254, "widget": widget, **options})

    def to_python(self, value: Any) -> str:
        try:
            return normalize_email(super().to_python(value) or "")
        except Invalid as error:
            raise ValidationError(error.translated) from error


class CodeField(forms.CharField):
    """A code from an email."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"autocomplete": "one-time-code", "autocapitalize": "characters"})
        super().__init__(**{"label": _("Code"), "max_length": 40, "widget": widget, **options})


class LoginForm(allauth_forms.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Browsers with passkeys for this site offer them in this field (`static/js/passkey.js`).
        self.fields["login"] = EmailField(widget=forms.EmailInput(attrs={"autocomplete": "username webauthn"}))
        _set_labels(self)

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> HttpResponse:
        response: HttpResponse = super().login(request, redirect_url)
        if not request.user.is_authenticated:
            # The session of the second step has an address that may belong to another person.
            request.session.set_expiry(SECOND_STEP_SECONDS)
        return response


class ReauthenticateForm(allauth_forms.ReauthenticateForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _set_labels(self)
        self.fields["password"].widget.attrs["autofocus"] = True


class ResetPasswordForm(forms.Form):
    """Send a link to a primary address. Any other address gets an email that says so, after the same work.

    The number of emails per address and hour is limited, regardless of who asks. Beyond the limit the response is the
    same, but no email is sent: the link in an earlier one still works.
    """

    email = EmailField()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            _throttle()
        return data

    def save(self, request: HttpRequest) -> None:
        email = self.cleaned_data["email"]
        if not may_mail_reset(email):
            return
        found = User.objects.filter(email=email, is_active=True).first()
        user = found or User(email=email)
        url = get_adapter(request).get_reset_password_from_key_url(f"{user.id}-{ResetTokens().make_token(user)}")
        name = "unknown_account" if found is None else "password_reset_key"
        send_mail(name, to=email, user=found, actor=visitor(request), facts={"password_reset_url": url})


class TwoPasswords(forms.Form):
    """Compare the two new passwords. allauth's forms also do this, with a different error message."""

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = forms.Form.clean(self) or self.cleaned_data
        if not self.errors and data["password1"] != data["password2"]:
            self.add_error("password2", _("The two passwords do not match."))
        return data


class ResetPasswordKeyForm(TwoPasswords, allauth_forms.ResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _set_labels(self)

    def save(self) -> None:
        passwords.reset_password(
            actor=visitor(context.request),
            user=self.user,
            password=self.cleaned_data["password1"],
            kept_key=context.request.session.session_key,
        )


class ChangePasswordForm(TwoPasswords, allauth_forms.ChangePasswordForm):
    user: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _set_labels(self)

    def clean_oldpassword(self) -> str:
        """Check the password as a sign-in does, so that failed attempts are throttled and logged in the same way."""
        password: str = self.cleaned_data["oldpassword"]
        checked = get_adapter().authenticate(context.request, email=self.user.email, password=password)
        if checked is None or checked.pk != self.user.pk:
            raise get_adapter().validation_error("enter_current_password")
        self.user = checked
        return password

    def save(self) -> None:
        passwords.change_password(
            actor=visitor(context.request),
            user=self.user,
            password=self.cleaned_data["password1"],
            kept_key=context.request.session.session_key,
        )


def _set_labels(form: forms.Form) -> None:
    """Replace allauth's labels and help texts. Remove placeholders, and links that our pages already have."""
    for name, field in form.fields.items():
        field.widget.attrs.pop("placeholder", None)
        field.help_text = PASSWORD_HELP if name == "password1" else ""
        field.label = LABELS.get(name, field.label)


def _throttle() -> None:
    try:
        throttle_registration(visitor(context.request))
    except Throttled as error:
        raise ValidationError(error.translated) from error
