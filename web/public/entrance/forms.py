"""Forms for signing up and for verifying an email address."""

from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html
from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy as _

from accounts.forms import CodeField, EmailField


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
