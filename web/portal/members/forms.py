"""Forms about the members of an organization."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from developers.models import Developer
from developers.role_words import NAMES
from developers.roles import Role, covers
from web.forms.fields import PlainField

Choices = list[tuple[str, Any]]


def roles_of(member: Developer) -> Choices:
    """Return the roles that the member can give: those that may do no more than their own."""
    return [(role.value, NAMES[role]) for role in Role if covers(member.role, role)]


def role_field(member: Developer) -> forms.ChoiceField:
    return forms.ChoiceField(label=_("Role"), choices=roles_of(member), initial=Role.DEVELOPER)


class InviteForm(forms.Form):
    email = forms.EmailField(label=_("Email address"), max_length=254)

    def __init__(self, *args: Any, member: Developer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = role_field(member)


class SearchForm(forms.Form):
    q = PlainField(
        label=_("Name or email address"),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )
