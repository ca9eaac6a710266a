"""What can be refused to a person."""

from core.errors import Conflict, DomainError, Forbidden, NotAuthenticated


class EmailTaken(Conflict):
    code = "email_taken"
    title = "An account with this email address exists"


class BadCredentials(NotAuthenticated):
    """The same for an unknown account, a wrong password and an inactive person."""

    code = "invalid_credentials"
    title = "The email address or password is wrong"


class InvalidCode(DomainError):
    """The same for a wrong, an expired and a used code."""

    code = "invalid_code"
    title = "The code is wrong or has expired"


class EmailUnverified(Forbidden):
    """The server demands proved addresses, and the account is older than that."""

    code = "email_unverified"
    title = "Confirm your email address first"


class AddressInUse(Conflict):
    code = "address_in_use"
    title = "This is the primary address"
