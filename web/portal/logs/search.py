"""The search field of the log: filters such as `agent:Postie outcome:denied since:2h`, separated by spaces."""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.events import Event
from resources.catalogue import catalogue

MAX_LENGTH = 2000
MAX_QUOTED = 60  # of what was typed, in an error
# The ends of a period, in the search. Other filters have the names of their fields.
ENDS = {"since": "from", "until": "to"}
# The filters that an id alone stands for, by its prefix.
OF_IDS = {
    "agt": "agent",
    "usr": "user",
    "cns": "consent",
    "pol": "policy",
    "res": "server",
    "req": "request",
    "del": "chain",
}
ID = re.compile(r"([a-z]{3})_[0-9a-zA-Z]{16,64}")
PART = re.compile(r'(?:([^\s:"]+):)?(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?=\s|\Z)', re.DOTALL)
EVENTS = frozenset(Event)
SEE = gettext_lazy("Those that are filters are below, under “What you can search for”.")


def read_search(text: str, fields: Collection[str]) -> dict[str, str]:
    """Return the values by field. Raises `ValidationError` that names each part that cannot be read."""
    found: dict[str, str] = {}
    problems = []
    for name, value in _parts(text):
        try:
            field = _field(name, value, fields)
            if field in found:
                raise ValidationError(_("“%s:” is there twice. Keep one.") % _cut(name or field))
        except ValidationError as error:
            problems += error.messages
        else:
            found[field] = value
    if problems:
        raise ValidationError(problems)
    return found


def write_search(filters: Mapping[str, str]) -> str:
    """Return the text that `read_search` reads as these values by field."""
    names = {field: name for name, field in ENDS.items()}
    return " ".join(f"{names.get(field, field)}:{_quoted(value)}" for field, value in filters.items())


def suggestion(value: str, known: Collection[str]) -> str:
    """Return a sentence with the known values closest to one that is not, or with all if there are few."""
    if close := get_close_matches(value.lower(), known, n=3, cutoff=0.6):
        return _("Did you mean %s?") % ", ".join(close)
    return _("Use one of these: %s.") % ", ".join(known) if len(known) <= len(OF_IDS) + 1 else ""


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield a name, or nothing, and a value for each part of the text."""
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        part = PART.match(text, place)
        if part is None:
            typed = text[place:].split()[0]
            raise ValidationError(_("Close the quotation marks after “%s”.") % _cut(typed))
        name, quoted, bare = part.groups()
        yield name or "", re.sub(r"(?s)\\(.)", r"\1", quoted) if quoted is not None else bare
        place = part.end()


def _field(name: str, value: str, fields: Collection[str]) -> str:
    """Return the field of one part."""
    if not name:
        return _field_of_value(value)
    field = ENDS.get(name.lower(), name.lower())
    if field not in fields:
        known = [*ENDS, *(one for one in fields if one not in ENDS.values())]
        raise ValidationError(
            _("“%(name)s:” is not a filter. %(remedy)s")
            % {"name": _cut(name), "remedy": _action_meant(name, value) or suggestion(name, known) or SEE}
        )
    if not value:
        raise ValidationError(_("“%(name)s:” needs a value, such as %(name)s:value.") % {"name": _cut(name)})
    return field


def _field_of_value(value: str) -> str:
    """Return the field that an id or an event stands for without a name."""
    if value in EVENTS:
        return "event"
    prefix = ID.fullmatch(value)
    if prefix is None or prefix[1] not in OF_IDS:
        raise ValidationError(
            _("Say what “%(value)s” is, such as agent:%(written)s or action:%(written)s.")
            % {"value": _cut(value), "written": _quoted(_cut(value))}
        )
    return OF_IDS[prefix[1]]


def _action_meant(name: str, value: str) -> str:
    """Return a sentence about what looks like a scope, such as `email:send`."""
    is_scope = any(scope.startswith(f"{name}:") for scope in catalogue())
    return _("For an action or a scope, write action:%s.") % _cut(f"{name}:{value}") if is_scope else ""


def _quoted(value: str) -> str:
    if value and not re.search(r'[\s"]', value):
        return value
    return '"{}"'.format(re.sub(r'(["\\])', r"\\\1", value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
