"""The types of fields that several rule types have."""

from collections.abc import Sized
from typing import Annotated, Any, TypeVar

from django.utils.translation import gettext_noop
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticKnownError

from core.validation import invalid_value
from core.wording import Filled

MAX_ENTRIES = 200
MAX_CHARACTERS = 200
MAX_KEYS = 50


def _require_plain(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise invalid_value(gettext_noop("Must not start or end with spaces, or contain control characters."))
    return text


def _as_tuple(value: Any) -> Any:
    return tuple(refuse_long(value, MAX_ENTRIES)) if isinstance(value, list) else value


def refuse_long[S: Sized](value: S, most: int) -> S:
    """Return the list. Raises an error if it has more elements than allowed, as pydantic does.

    Pydantic would first look at each element of a tuple, and describe each error.
    """
    if len(value) > most:
        lengths = {"field_type": "Tuple", "max_length": most, "actual_length": len(value)}
        raise PydanticKnownError("too_long", lengths)
    return value


def refuse_many_keys(value: Any) -> Any:
    """Return an object of at most `MAX_KEYS` fields, or anything else. Raises one error for all that are too many."""
    if isinstance(value, dict) and len(value) > MAX_KEYS:
        raise invalid_value(Filled(gettext_noop("Must have at most %(most)d fields."), most=MAX_KEYS))
    return value


# Text that is safe to store and to display: no control characters, no lone surrogates.
Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS), AfterValidator(_require_plain)]

# A duration. `x-unit` tells the portal which input to show; a field without one gets a plain input.
Seconds = Annotated[int, Field(json_schema_extra={"x-unit": "seconds"})]

# A plain alias, not a `type` statement: pydantic would make a reference of one in the JSON schema.
T = TypeVar("T")
Listed = Annotated[tuple[T, ...], Field(max_length=MAX_ENTRIES), BeforeValidator(_as_tuple)]
