"""Messages with values in them: programs get them in English, and pages in the user's language."""

from typing import Any, Self

from django.utils.translation import gettext


class Filled(str):
    """A message in English, filled with its values. `translated` fills its template in the user's language.

    The template is a text marked with `gettext_noop`, with named placeholders. A value can be such a message itself. A
    template of nothing but placeholders needs no mark.
    No translation is looked up until a page shows the message.
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Self:
        made = super().__new__(cls, template % values)
        made.template, made.values = template, values
        return made


def translated(message: str) -> str:
    """Return the message in the user's language."""
    if not isinstance(message, Filled):
        return gettext(message)
    values = {name: translated(value) if isinstance(value, Filled) else value for name, value in message.values.items()}
    return gettext(message.template) % values
