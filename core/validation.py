"""Validate untrusted data with pydantic models. Errors name each invalid field as on the wire, and the remedy."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from django.utils.translation import gettext_noop
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from core.errors import FieldError, Invalid
from core.text import echo
from core.wording import Filled

# A body can have a hundred thousand wrong values. Further errors are not explained.
MAX_ERRORS = 20
# The type of our own errors.
CUSTOM = "wrong"

# What pages and programs get for each of pydantic's types of errors. The values are those of its `ctx`.
MESSAGES = {
    "missing": gettext_noop("This field is required."),
    "bool_type": gettext_noop("Must be true or false."),
    "dict_type": gettext_noop("Must be an object."),
    "enum": gettext_noop("Must be one of %(expected)s."),
    "greater_than_equal": gettext_noop("Must be %(ge)s or more."),
    "int_from_float": gettext_noop("Must be a whole number."),
    "int_parsing": gettext_noop("Must be a whole number."),
    "int_parsing_size": gettext_noop("Must be a whole number of at most 18 digits."),
    "int_type": gettext_noop("Must be a whole number."),
    "less_than_equal": gettext_noop("Must be %(le)s or less."),
    "list_type": gettext_noop("Must be a list."),
    "literal_error": gettext_noop("Must be one of %(expected)s."),
    "model_type": gettext_noop("Must be an object."),
    "string_too_long": gettext_noop("Must be at most %(max_length)s characters."),
    "string_too_short": gettext_noop("Must be at least %(min_length)s characters."),
    "string_type": gettext_noop("Must be a string."),
    "string_unicode": gettext_noop("Must be valid Unicode text."),
    "too_long": gettext_noop("Must have at most %(max_length)s items."),
    "too_short": gettext_noop("Must have at least %(min_length)s items."),
    "tuple_type": gettext_noop("Must be a list."),
}


def parse[M: BaseModel](model: type[M], data: object) -> M:
    """Return `data` as an instance of `model`. Raises `Invalid`, which names the first `MAX_ERRORS` invalid fields."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = tuple(islice(field_errors(error), MAX_ERRORS))
        raise Invalid(gettext_noop("A field is not valid."), errors=errors) from None


def field_errors(error: ValidationError, *path: object) -> Iterator[FieldError]:
    """Yield each error with its dotted path, which starts with `path`."""
    for detail in details_of(error):
        yield FieldError(dotted(*path, *detail["loc"]), explain(detail))


def details_of(error: ValidationError) -> list[ErrorDetails]:
    """Return pydantic's errors, without its complaint that a list is too short if all the list's items are wrong."""
    details = error.errors(include_url=False)
    if all(detail["type"] != "too_short" for detail in details):
        return details
    around = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in around]


def dotted(*path: object) -> str:
    return ".".join(echo(part) for part in path)


def explain(detail: ErrorDetails) -> str:
    """Return a sentence that says what is wrong and how to fix it."""
    kind, facts = detail["type"], detail.get("ctx", {})
    if isinstance(detail["input"], str):
        if kind in ("list_type", "tuple_type"):
            text = gettext_noop("Must be a list, such as [%(example)s].")
            return Filled(text, example=json.dumps(echo(detail["input"])))
        # Pydantic's name for a length error after one of our own validators has run.
        kind = {"too_long": "string_too_long", "too_short": "string_too_short"}.get(kind, kind)
    if kind in ("string_too_short", "too_short") and facts["min_length"] == 1:
        return gettext_noop("Must not be empty.")
    if kind == CUSTOM:
        message: str | Callable[[], str] = facts["message"]
        return message() if callable(message) else message
    return Filled(MESSAGES[kind], **_values(facts)) if kind in MESSAGES else detail["msg"]


def _values(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a message. Pydantic joins the last two of the expected values with "or"."""
    others, _or, last = facts.get("expected", "").rpartition(" or ")
    listed = Filled(gettext_noop("%(others)s or %(last)s"), others=others, last=last) if others else last
    return {**facts, "expected": listed}


def did_you_mean(message: str, choice: str | None) -> str:
    """Return the message, followed by what the caller may have meant, if that is known."""
    text = gettext_noop('%(message)s Did you mean "%(choice)s"?')
    return Filled(text, message=Filled(message), choice=choice) if choice else message


def invalid_value(message: str | Callable[[], str]) -> PydanticCustomError:
    """Return an error for a field validator to raise. If finding its message takes long, pass a function for it."""
    return PydanticCustomError(CUSTOM, "{message}", {"message": message})


def invalid_fields(model: type[BaseModel], messages: Iterable[tuple[str, str | Callable[[], str]]]) -> ValidationError:
    """Return an error for a model validator to raise, with a message per field, or a function for it."""
    errors = [InitErrorDetails(type=invalid_value(message), loc=(name,), input=None) for name, message in messages]
    return ValidationError.from_exception_data(model.__name__, errors)
