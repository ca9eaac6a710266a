"""Models for developers and users: registration, login, verification of email addresses, API keys."""

from typing import Annotated, Any, Literal

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pydantic import AfterValidator, AliasPath, BeforeValidator, Field

from accounts.addresses import normalize_email
from api.v1.schemas.base import BlankLine, Line, Moment, Out, RequestBody, Text, WholeNumber
from core.errors import Invalid
from core.rotation import MAX_OVERLAP_SECONDS
from core.validation import invalid_value

MAX_NAME, MAX_EMAIL, MIN_PASSWORD, MAX_PASSWORD = 200, 254, 8, 1000
MAX_CODE = 40


def _normalize(address: Any) -> Any:
    try:
        return normalize_email(address) if isinstance(address, str) else address
    except Invalid as error:
        raise invalid_value(error.detail) from error


def _check_email(address: str) -> str:
    try:
        validate_email(address)
    except ValidationError as error:
        raise invalid_value("Must be an email address, such as ada@example.com.") from error
    return address


EmailAddress = Annotated[str, Field(json_schema_extra={"format": "email"})]
# An email address. Its normalized form is checked, stored and compared.
GivenEmail = Annotated[
    EmailAddress, Field(max_length=MAX_EMAIL), BeforeValidator(_normalize), AfterValidator(_check_email)
]
NewPassword = Annotated[Text, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]


class RegisterDeveloperBody(RequestBody):
    """A developer to register, and the name of their organization."""

    name: Line = Field(max_length=MAX_NAME)
    email: GivenEmail
    password: NewPassword


class RegisterUserBody(RequestBody):
    """A user to register."""

    email: GivenEmail
    password: NewPassword
    name: BlankLine = Field("", max_length=MAX_NAME)


class LogInBody(RequestBody):
    """The email address and password of an account, and the code of its authenticator app if it has one."""

    email: Text = Field(max_length=MAX_EMAIL)
    password: Text = Field(max_length=MAX_PASSWORD)
    code: Text = Field("", max_length=MAX_CODE)


class ConfirmRegistrationBody(RequestBody):
    """The code that was emailed to the address."""

    email: Text = Field(max_length=MAX_EMAIL)
    code: Text = Field(max_length=MAX_CODE)


class ConfirmEmailBody(RequestBody):
    """The code that was emailed to the user's address."""

    code: Text = Field(max_length=MAX_CODE)


class RotationBody(RequestBody):
    """How long earlier secrets keep working."""

    overlap_seconds: WholeNumber = Field(0, ge=0, le=MAX_OVERLAP_SECONDS)


class NewDeveloperOut(Out):
    """A new developer with the first API key, which is shown only once."""

    id: str = Field(validation_alias=AliasPath("developer", "id"))
    name: str = Field(validation_alias=AliasPath("developer", "organization", "name"))
    email: EmailAddress = Field(validation_alias=AliasPath("developer", "user", "email"))
    organization_id: str = Field(validation_alias=AliasPath("developer", "organization_id"))
    api_key: str
    created_at: Moment = Field(validation_alias=AliasPath("developer", "created_at"))


class DeveloperSessionOut(Out):
    """A developer's new session. The session token is shown only once."""

    id: str | None = Field(
        description="The id as a member of the only organization, `dev_...`. Null for a member of several."
    )
    name: str = Field(description="The name of the only organization. That of the user for a member of several.")
    email: EmailAddress
    session_token: str
    expires_at: Moment


class NewUserOut(Out):
    """A new user."""

    id: str
    email: EmailAddress
    name: str
    created_at: Moment


class UserSessionOut(Out):
    """A user's new session. The session token is shown only once."""

    id: str = Field(validation_alias=AliasPath("session", "user", "id"))
    email: EmailAddress = Field(validation_alias=AliasPath("session", "user", "email"))
    name: str = Field(validation_alias=AliasPath("session", "user", "name"))
    session_token: str = Field(validation_alias="token")
    expires_at: Moment = Field(validation_alias=AliasPath("session", "expires_at"))


class VerificationRequiredOut(Out):
    """The address gets an email with a code. A taken address gets the same response, and an email that says so."""

    status: Literal["verification_required"]


class VerifiedOut(Out):
    """The user's primary address is verified."""

    status: Literal["verified"]


class RotatedApiKeyOut(Out):
    """A new API key. Earlier keys work until `previousKeyExpiresAt`."""

    api_key: str = Field(validation_alias="value")
    expires_at: Moment | None = Field(
        validation_alias=AliasPath("row", "expires_at"), description="When it stops working, or null."
    )
    previous_key_expires_at: Moment = Field(validation_alias="previous_expires_at")


VERIFICATION_REQUIRED = VerificationRequiredOut(status="verification_required")
VERIFIED = VerifiedOut(status="verified")
