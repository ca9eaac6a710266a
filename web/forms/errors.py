"""Show a service's errors at the fields of a form."""

from collections.abc import Mapping, Sequence

from django import forms
from django.utils.translation import gettext as _

from core.errors import DomainError
from web.forms.fields import LinesField, ObjectsField
from web.portal.policies.condition_forms import ConditionsField

# Fields whose entries the user can count.
LISTS = (LinesField, ObjectsField, ConditionsField)


def show_in(form: forms.Form, error: DomainError, places: Mapping[str, str] | None = None) -> None:
    """Add each of the error's messages to its field, or to the whole form if it has no such field.

    `places` maps names in the error to fields of the form with other names. "" is the error as a whole.
    """
    for one in error.errors:
        show_at(form, one.field.split("."), one.translated, places)
    if not error.errors:
        show_at(form, [""], error.translated, places)


def show_at(form: forms.Form, path: Sequence[str], message: str, places: Mapping[str, str] | None = None) -> None:
    """Add a message to the field that the path begins with, as `show_in` does."""
    name = (places or {}).get(path[0], path[0])
    field = form.fields.get(name)
    form.add_error(name if field else None, at_entry(path, message) if isinstance(field, LISTS) else message)


def at_entry(path: Sequence[str], message: str) -> str:
    """Return the message, prefixed with the list entry if the path leads to one, such as `actions.2`."""
    if len(path) > 2 and path[1].isdecimal():
        words = {"number": int(path[1]) + 1, "field": ".".join(path[2:]), "message": message}
        return _("Item %(number)d, %(field)s: %(message)s") % words
    if len(path) > 1 and path[1].isdecimal():
        return _("Line %(number)d: %(message)s") % {"number": int(path[1]) + 1, "message": message}
    return message
