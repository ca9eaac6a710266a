"""The form for the domain of an organization."""

from django import forms
from django.utils.translation import gettext_lazy as _

from core.errors import Invalid
from web.forms.resource_servers import CODE_INPUT, show_in

MAX_DOMAIN = 253


class DomainForm(forms.Form):
    domain = forms.CharField(
        label=_("Domain"),
        max_length=MAX_DOMAIN,
        help_text=_("The domain by which your users know you, without https:// and path."),
        widget=forms.TextInput(attrs={**CODE_INPUT, "inputmode": "url", "placeholder": "acme.com"}),
    )

    def show(self, error: Invalid) -> None:
        show_in(self, error, {"domain": "domain"})
