"""What a service refused, at the fields of a form."""

from collections.abc import Mapping

from django import forms

from core.errors import DomainError


def show_in(form: forms.Form, error: DomainError, places: Mapping[str, str] | None = None) -> None:
    """Add each of the error's messages to its field, and to the whole form if the form has none of that name.

    `places` has the fields of the form that have another name than in the error. "" is the error as a whole.
    """
    names: Mapping[str, str] = {name: name for name in form.fields} | dict(places or {})
    for one in error.errors:
        form.add_error(names.get(one.field.partition(".")[0]), one.translated)
    if not error.errors:
        form.add_error(names.get(""), error.translated)
