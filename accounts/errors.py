"""Errors about users, sign-in and email addresses."""

from django.utils.translation import gettext_noop

from core.errors import Conflict, DomainError, Forbidden, NotAuthenticated


class EmailTaken(Conflict):
    code = "email_taken"
    title = gettext_noop("An account with this email address already exists")
    remedy = "Sign in, or register another address."


class BadCredentials(NotAuthenticated):
    """The account is unknown or deactivated, or the password is wrong. The error does not say which."""

    code = "invalid_credentials"
    title = gettext_noop("The email address or password is wrong")
    remedy = "Check the email address and the password, or reset the password on the sign-in page."


class InvalidCode(DomainError):
    """The code is wrong, expired or used. The error does not say which."""

    code = "invalid_code"
    title = gettext_noop("The code is wrong or has expired")
    remedy = "Enter the code of the newest email, within 15 minutes, or ask for a new one."


class EmailUnverified(Forbidden):
    """The server requires verified addresses, but the account was created before it did."""

    code = "email_unverified"
    title = gettext_noop("Confirm your email address first")
    remedy = "Ask for a code with POST /api/v1/users/me/email/verification, and confirm it."


class ReauthenticationRequired(Forbidden):
    """The user must enter their password or use a passkey again: the last time is too long ago (`accounts.recent`)."""

    code = "reauthentication_required"
    title = gettext_noop("Enter your password again first")
    remedy = "Sign in again with the password, and repeat the request with the new session within 5 minutes."


class OwnAccess(Conflict):
    """Administrators cannot change their own rights. A mistake would lock them out, and a second person reviews."""

    code = "own_access"
    title = gettext_noop("Administrators cannot change their own rights")
    remedy = "Ask another superuser."


class NotSuperuser(Forbidden):
    """The administrator is not a superuser, or has lost that right since the page was opened."""

    code = "not_superuser"
    title = gettext_noop("Only superusers change the rights of administrators")
    remedy = "Ask a superuser."


class AdministratorAccount(Conflict):
    """The account has rights in the admin site."""

    code = "administrator_account"
    title = gettext_noop("This account belongs to an administrator")
    remedy = "Ask another administrator to remove the account's rights first."


class AddressInUse(Conflict):
    code = "address_in_use"
    title = gettext_noop("This is the primary address")
    remedy = "Make another address the primary one first."


class SecondFactorRequired(NotAuthenticated):
    """The password is right, and the account also has a passkey or an authenticator app."""

    code = "second_factor_required"
    title = gettext_noop("This account needs a second factor")
    remedy = "Repeat the request with code: the current code of the authenticator app, or a recovery code."


class WrongSecondFactor(NotAuthenticated):
    """The code is wrong, expired or used. The error does not say which."""

    code = "wrong_second_factor"
    title = gettext_noop("The code is wrong or was used before")
    remedy = "Wait for the next code of the authenticator app, or use another recovery code."


class PasskeyRefused(NotAuthenticated):
    """The passkey is unknown, is another account's, or did not sign this challenge. The error does not say which."""

    code = "passkey_refused"
    title = gettext_noop("The passkey was not accepted")
    remedy = "Try again, or use the password."
