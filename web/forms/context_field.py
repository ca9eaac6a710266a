"""A field for the context of a request, as a service sends it to verify."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from core.canonical import canonical_json, has_nul
from core.strict_json import NotStrict, parse_strictly


class ContextField(forms.CharField):
    """A JSON object of at most `most` characters. Empty text is an empty object."""

    widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocapitalize": "off"})

    def __init__(self, *, most: int | None = None, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.most = most

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        if self.most is not None and len(text) > self.most:
            raise ValidationError(_("Must be at most %(most)d characters."), params={"most": self.most})
        context = parse_json(text or "{}")
        if not isinstance(context, dict):
            raise ValidationError(_("Must be a JSON object."))
        try:
            canonical = canonical_json(context)
        except ValueError as error:
            raise ValidationError(_("Must be valid Unicode text.")) from error
        if has_nul(canonical):
            raise ValidationError(_("Must not contain NUL characters."))
        return context


def parse_json(text: str) -> Any:
    """Return a typed JSON value. Raises `ValidationError`, which names the place of the error."""
    try:
        return parse_strictly(text)
    except NotStrict as error:
        place = error.__cause__
        if isinstance(place, json.JSONDecodeError):
            message = _("Must be JSON. Line %(line)d, column %(column)d cannot be read.")
            raise ValidationError(message, params={"line": place.lineno, "column": place.colno}) from error
        if error.errors:
            message = _("%(field)s: this number is too large or has too many digits. Write it as text.")
            raise ValidationError(message, params={"field": error.errors[0].field}) from error
        raise ValidationError(_("Must be JSON without repeated names, NaN or deep nesting.")) from error
