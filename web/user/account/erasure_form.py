"""The form in which users confirm that their account is to be erased."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.forms import EmailField


class ErasureForm(forms.Form):
    email = EmailField(label=_("Type your email address to confirm"))

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected
        # A browser that fills the field in would make the confirmation worthless.
        self.fields["email"].widget.attrs["autocomplete"] = "off"

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email != self.expected:
            raise forms.ValidationError(_("This is not the primary address of your account."))
        return email
