"""Forms for passkeys, authenticator apps and the second step of a sign-in."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.second_factors import MAX_NAME
from web.forms.context_field import parse_json

MAX_CREDENTIAL = 30_000


class Credential(forms.CharField):
    """What the browser returned for a challenge, as JSON. The value is None if it returned nothing."""

    widget = forms.HiddenInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_CREDENTIAL, empty_value=None, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return None if text is None else parse_json(text)


class CredentialForm(forms.Form):
    credential = Credential()


class NewPasskeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAME,
        help_text=_("Where the passkey is stored, so that you recognize it: “Phone”, “Password manager”."),
    )
    credential = Credential(required=False)


class CodeForm(forms.Form):
    """A code from an authenticator app, or a recovery code."""

    code = forms.CharField(
        label=_("Code"),
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )
