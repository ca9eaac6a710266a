"""Base models and field types. Requests are validated strictly. The JSON names are in camelCase."""

import re
from datetime import UTC, datetime
from functools import cache, partial
from typing import Annotated, Any, TypeVar

from django.utils.dateparse import parse_datetime
from pydantic import (
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core.core_schema import literal_schema

from core import clock
from core.text import MAX_ECHO, nearest, plain_text
from core.validation import invalid_fields, invalid_value

# Control characters, line separators, and marks that make a name look like another (Unicode TR 36 section 3.4).
UNPRINTABLE = r"\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
TEXT = r"^[^\u0000]*$"
LINE = rf"^[^{UNPRINTABLE}]*[^ {UNPRINTABLE}][^{UNPRINTABLE}]*$"
BLANK_LINE = rf"^[^{UNPRINTABLE}]*$"
PRINTABLE = re.compile(BLANK_LINE[1:-1])

# A body can contain a hundred thousand unknown fields. Only the first ones are reported.
MAX_UNKNOWN = 20
# Shorter parts of a field's name say too little to suggest it.
MIN_PART = 4


class RequestBody(BaseModel):
    """A JSON object with only the declared fields, in exactly their types."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        unknown = data.keys() - known_fields(cls) if isinstance(data, dict) else ()
        if unknown:
            raise invalid_fields(cls, ((name, partial(_suggest, name, cls)) for name in sorted(unknown)[:MAX_UNKNOWN]))
        return data

    def sent(self) -> dict[str, Any]:
        """Return the fields that the caller sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class EmptyBody(RequestBody):
    """An object without fields."""


class Query(RequestBody):
    """Query parameters. Each is a string and appears at most once."""


class Out(BaseModel):
    """A response. A field with a default is left out unless it is set."""

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        alias_generator=AliasGenerator(serialization_alias=to_camel),
        serialize_by_alias=True,
    )


@cache
def known_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the JSON names of the model's fields."""
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def _suggest(name: str, model: type[BaseModel]) -> str:
    known = nearest(to_camel(name[:MAX_ECHO]), known_fields(model)) or _longer(name, model)
    return f"Unknown field. Did you mean {known}?" if known else "Unknown field."


def _longer(name: str, model: type[BaseModel]) -> str | None:
    """Return a field whose name contains `name`, such as requiredScopes for "scopes". Required fields come first."""
    fields = sorted((not field.is_required(), field.alias or key) for key, field in model.model_fields.items())
    return next((known for _, known in fields if len(name) >= MIN_PART and name.lower() in known.lower()), None)


def _read_text(value: Any) -> Any:
    if isinstance(value, str) and "\0" in value:
        raise invalid_value("Must not contain NUL characters.")
    return value


def _read_blank_line(value: Any) -> Any:
    """Return the text as it is shown. Refuse control and bidi characters, and remove other invisible ones.

    The others are not refused because they occur in ordinary emoji.
    """
    if not isinstance(value, str):
        return value
    if value.isascii() and value.isprintable():
        return " ".join(value.split())  # which is all that `plain_text` would change
    if not PRINTABLE.fullmatch(value):
        raise invalid_value("Must be one line without control or bidirectional formatting characters.")
    return plain_text(value)


def _read_line(value: Any) -> Any:
    shown = _read_blank_line(value)
    if value and shown == "":
        raise invalid_value("Must contain a visible character.")
    return shown


def null_is_blank(value: Any) -> Any:
    return "" if value is None else value


def _read_whole_number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_moment(value: Any) -> datetime:
    try:
        # In a query string, an unescaped "+" is decoded as a space.
        moment = parse_datetime(value.replace(" ", "+")) if isinstance(value, str) and "T" in value else None
        if moment is not None and moment.tzinfo is not None:
            # PostgreSQL refuses offsets of 16 hours and more, which Python and RFC 3339 allow.
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise invalid_value("Must be an RFC 3339 time, such as 2026-01-31T12:00:00Z.")


def _pattern(pattern: str) -> Any:
    return Field(json_schema_extra={"pattern": pattern})


class OneOf:
    """Accept only these strings: `Annotated[str, OneOf(*RISK_LEVELS)]`."""

    def __init__(self, *choices: str) -> None:
        self.choices = [str(choice) for choice in choices]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return literal_schema(self.choices)


class _WithoutNull:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Return the schema of `T | None` without None."""
        return handler(source)["schema"]


# A field that can be left out and is then None. An explicit null is refused.
T = TypeVar("T")
Omittable = Annotated[T | None, _WithoutNull()]

# Text is stored as sent, never trimmed. PostgreSQL cannot store NUL.
BlankText = Annotated[str, BeforeValidator(_read_text), _pattern(TEXT)]
Text = Annotated[str, Field(min_length=1), BeforeValidator(_read_text), _pattern(TEXT)]

# The description of an agent or a policy. Null means empty.
_Description = Annotated[BlankText, Field(max_length=500)]
Description = Annotated[_Description, BeforeValidator(null_is_blank, json_schema_input_type=_Description | None)]

# A single line of text, safe to display.
BlankLine = Annotated[str, BeforeValidator(_read_blank_line), _pattern(BLANK_LINE)]
Line = Annotated[str, Field(min_length=1), BeforeValidator(_read_line), _pattern(LINE)]

# A token or code. It can contain anything, because it is only looked up, never stored.
Opaque = Annotated[str, Field(min_length=1)]

# 60 and 60.0 are whole numbers; "60" and true are not.
WholeNumber = Annotated[int, BeforeValidator(_read_whole_number)]

_DATE_TIME = {"type": "string", "format": "date-time"}
# RFC 3339. Requests can use any offset; responses are in UTC with Z.
GivenMoment = Annotated[datetime, BeforeValidator(_read_moment), WithJsonSchema(_DATE_TIME)]
Moment = Annotated[datetime, PlainSerializer(clock.rfc3339), WithJsonSchema(_DATE_TIME)]
