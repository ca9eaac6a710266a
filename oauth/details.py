"""The parameter `authorization_details` (RFC 9396): a JSON array of objects."""

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from consent.details import MAX_DETAILS, AuthorizationDetail
from core.nesting import MAX_DEPTH, is_too_deep
from core.validation import dotted, explain
from oauth.errors import OAuthError
from oauth.parameters import Parameters

NAME = "authorization_details"
DETAILS = TypeAdapter[list[AuthorizationDetail]](Annotated[list[AuthorizationDetail], Field(max_length=MAX_DETAILS)])


def read_details(parameters: Parameters) -> list[AuthorizationDetail] | None:
    """Return the authorization details, or None without the parameter.

    Raises `invalid_authorization_details` for unknown types and fields, and for invalid values (section 5).
    """
    text = parameters.get(NAME)
    if not text:
        return None
    try:
        return DETAILS.validate_python(_parse(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _invalid(f"{dotted(NAME, *first['loc'])}: {explain(first)}") from None


def _parse(text: str) -> Any:
    if is_too_deep(text):
        raise _invalid(f"{NAME} must be nested at most {MAX_DEPTH} levels deep.")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{NAME} must be a JSON array of objects without repeated names.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A name is repeated.")
    return found


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_authorization_details", description)
