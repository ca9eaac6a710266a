"""The form for the domain of an organization."""

from django import forms
from django.utils.translation import gettext_lazy as _

from web.forms.fields import CODE_INPUT

MAX_DOMAIN = 253


class DomainForm(forms.Form):
    domain = forms.CharField(
        label=_("Domain"),
        max_length=MAX_DOMAIN,
        help_text=_("The domain that your users know, without https:// or a path."),
        widget=forms.TextInput(attrs={**CODE_INPUT, "inputmode": "url", "placeholder": "acme.com"}),
    )
