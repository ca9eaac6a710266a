"""Forms for signing up and for verifying an email address."""

from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html
from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy as _

from accounts.forms import CodeField, EmailField
from core.errors import DomainError


class SignUpForm(forms.Form):
    email = EmailField()
    password1 = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=lazystr(password_validators_help_text_html()),
    )


class CodeForm(forms.Form):
    code = CodeField()


class AddressForm(forms.Form):
    email = EmailField()


def show_error(form: forms.Form, error: DomainError, **fields: str) -> None:
    """Add the error's messages to the form's fields, or above the form if it has no such field.

    `fields` maps the domain's field names to the form's.
    """
    for each in error.errors:
        name = fields.get(each.field, each.field)
        form.add_error(name if name in form.fields else None, each.translated)
    if not error.errors:
        form.add_error(None, error.translated)
