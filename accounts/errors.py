"""Errors about users, sign-in and email addresses."""

from core.errors import Conflict, DomainError, Forbidden, NotAuthenticated


class EmailTaken(Conflict):
    code = "email_taken"
    title = "An account with this email address already exists"


class BadCredentials(NotAuthenticated):
    """The account is unknown or deactivated, or the password is wrong. The error does not say which."""

    code = "invalid_credentials"
    title = "The email address or password is wrong"


class InvalidCode(DomainError):
    """The code is wrong, expired or used. The error does not say which."""

    code = "invalid_code"
    title = "The code is wrong or has expired"


class EmailUnverified(Forbidden):
    """The server requires verified addresses, but the account was created before it did."""

    code = "email_unverified"
    title = "Confirm your email address first"


class AddressInUse(Conflict):
    code = "address_in_use"
    title = "This is the primary address"
