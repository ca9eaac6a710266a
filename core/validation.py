"""Validate untrusted data with pydantic models. Errors name each invalid field as on the wire, and the remedy."""

import json
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext_noop
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from core.errors import FieldError, Invalid
from core.text import echo

MESSAGES = {
    "missing": "This field is required.",
    "bool_type": "Must be true or false.",
    "dict_type": "Must be an object.",
    "enum": "Must be one of {expected}.",
    "greater_than_equal": "Must be {ge} or more.",
    "int_from_float": "Must be a whole number.",
    "int_parsing": "Must be a whole number.",
    "int_parsing_size": "Must be a whole number of at most 18 digits.",
    "int_type": "Must be a whole number.",
    "less_than_equal": "Must be {le} or less.",
    "list_type": "Must be a list.",
    "literal_error": "Must be one of {expected}.",
    "model_type": "Must be an object.",
    "string_too_long": "Must be at most {max_length} characters.",
    "string_too_short": "Must be at least {min_length} characters.",
    "string_type": "Must be a string.",
    "string_unicode": "Must be valid Unicode text.",
    "too_long": "Must have at most {max_length} items.",
    "too_short": "Must have at least {min_length} items.",
    "tuple_type": "Must be a list.",
}


def parse[M: BaseModel](model: type[M], data: object) -> M:
    """Return `data` as an instance of `model`. Raises `Invalid`, which names each invalid field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Invalid(gettext_noop("A field is not valid."), errors=tuple(field_errors(error))) from None


def field_errors(error: ValidationError, *path: object) -> Iterator[FieldError]:
    """Yield each error with its dotted path, which starts with `path`."""
    for detail in error.errors(include_url=False):
        yield FieldError(dotted(*path, *detail["loc"]), explain(detail))


def dotted(*path: object) -> str:
    return ".".join(echo(part) for part in path)


def explain(detail: ErrorDetails) -> str:
    """Return a sentence that says what is wrong and how to fix it."""
    kind, facts = detail["type"], detail.get("ctx", {})
    if isinstance(detail["input"], str):
        if kind in ("list_type", "tuple_type"):
            return f"Must be a list, such as [{json.dumps(echo(detail['input']))}]."
        # Pydantic's name for a length error after one of our own validators has run.
        kind = {"too_long": "string_too_long", "too_short": "string_too_short"}.get(kind, kind)
    if kind in ("string_too_short", "too_short") and facts["min_length"] == 1:
        return "Must not be empty."
    template = MESSAGES.get(kind)
    return template.format(**facts) if template else detail["msg"]


def invalid_value(message: str) -> PydanticCustomError:
    """Return an error for a field validator to raise."""
    return PydanticCustomError("wrong", "{message}", {"message": message})


def invalid_fields(model: type[BaseModel], messages: Iterable[tuple[str, str]]) -> ValidationError:
    """Return an error for a model validator to raise, with a message per field."""
    errors = [InitErrorDetails(type=invalid_value(message), loc=(name,), input=None) for name, message in messages]
    return ValidationError.from_exception_data(model.__name__, errors)
