"""The types of fields that several rule types have."""

from typing import Annotated, Any, TypeVar

from django.utils.translation import gettext_noop
from pydantic import AfterValidator, BeforeValidator, Field

from core.validation import invalid_value

MAX_ENTRIES = 200
MAX_CHARACTERS = 200


def _require_plain(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise invalid_value(gettext_noop("Must not start or end with spaces, or contain control characters."))
    return text


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# Text that is safe to store and to display: no control characters, no lone surrogates.
Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS), AfterValidator(_require_plain)]

# A duration. `x-unit` tells the portal which input to show; a field without one gets a plain input.
Seconds = Annotated[int, Field(json_schema_extra={"x-unit": "seconds"})]

# A plain alias, not a `type` statement: pydantic would make a reference of one in the JSON schema.
T = TypeVar("T")
Listed = Annotated[tuple[T, ...], Field(max_length=MAX_ENTRIES), BeforeValidator(_as_tuple)]
