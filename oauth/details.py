"""The parameter `authorization_details` (RFC 9396): a JSON array of objects."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from consent.details import MAX_DETAILS, AuthorizationDetail
from core.strict_json import NotStrict, parse_strictly
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
    try:
        return parse_strictly(text)
    except NotStrict as error:
        named = "".join(f" ({one.field})" for one in error.errors[:1])
        raise _invalid(f"{NAME} must be a JSON array of objects. {error}{named}") from error


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_authorization_details", description)
