"""Forms in which a developer confirms a deletion by typing a name."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from core.text import plain_text
from web.forms.fields import PlainField


class TypedNameField(PlainField):
    # If the browser filled in the field, the confirmation would be worthless.
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"})


class DeleteForm(forms.Form):
    """The typed name, which must be the `expected` one. Subclasses have the field `name`, and its error "mismatch"."""

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = plain_text(expected)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.expected:
            raise ValidationError(self.fields["name"].error_messages["mismatch"], code="mismatch")
        return name


class DeleteAgentForm(DeleteForm):
    name = TypedNameField(
        label=_("To confirm, type the name of the agent"),
        max_length=255,
        error_messages={"mismatch": _("This is not the agent’s name. Type it exactly as shown above.")},  # noqa: RUF001
    )


class DeleteServerForm(DeleteForm):
    name = TypedNameField(
        label=_("To confirm, type the name of the resource server"),
        max_length=200,
        error_messages={"mismatch": _("This is not its name. Nothing was deleted.")},
    )
