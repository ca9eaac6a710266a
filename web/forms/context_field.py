"""A field for the context of a request, as a service sends it to verify."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from core.canonical import canonical_json, has_nul


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
        try:
            context = json.loads(text or "{}")
            canonical = canonical_json(context)
        except json.JSONDecodeError as error:
            message = _("Must be JSON. Line %(line)d, column %(column)d cannot be read.")
            raise ValidationError(message, params={"line": error.lineno, "column": error.colno}) from error
        except (ValueError, RecursionError) as error:
            raise ValidationError(_("Must be JSON without huge numbers or deep nesting.")) from error
        if not isinstance(context, dict):
            raise ValidationError(_("Must be a JSON object."))
        if has_nul(canonical):
            raise ValidationError(_("Must not contain NUL characters."))
        return context
