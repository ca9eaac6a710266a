"""A field for an object of the organization that the user types by name or id."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_LENGTH = 350


class NamedIdField(forms.CharField):
    """An id. The user types it, or the name of one of `names`, which browsers suggest as "name (id)".

    Other ids are accepted too, because the log outlives what it is about. `find` returns the ids for any other name.
    The value is None if the field is empty. `none` is the value that finds rows without such an object, if that is
    possible.
    """

    default_error_messages = {
        "unknown": _("Nothing has this name or ID. Choose a suggestion, or enter an ID."),
        "ambiguous": _("Several have this name. Choose a suggestion, or enter an ID."),
    }

    def __init__(self, prefix: str, *, none: str = "", **kwargs: Any) -> None:
        attrs = {"list": f"suggested-{prefix}", "autocomplete": "off", "placeholder": _("Name or ID")}
        super().__init__(required=False, max_length=MAX_LENGTH, widget=forms.TextInput(attrs=attrs), **kwargs)
        self.id_pattern = re.compile(rf"(?:.*\()?({prefix}_[0-9a-f]{{32,64}})\)?")
        self.none = none
        self.names: Mapping[str, str] = {}
        self.find: Callable[[str], list[str]] = lambda text: []

    @property
    def suggestions(self) -> list[str]:
        return [f"{name} ({pk})" for pk, name in self.names.items()]

    def clean(self, value: Any) -> Any:
        text: str = super().clean(value)
        if not text or text == self.none:
            return text or None
        written = self.id_pattern.fullmatch(text)
        return written[1] if written else self._find(text)

    def _find(self, text: str) -> str:
        found = [pk for pk, name in self.names.items() if name.lower() == text.lower()] or self.find(text)
        if len(found) != 1:
            code = "ambiguous" if found else "unknown"
            raise ValidationError(self.error_messages[code], code=code)
        return found[0]
