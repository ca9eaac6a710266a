"""What can be refused to a person."""

from core.errors import Conflict, NotAuthenticated


class EmailTaken(Conflict):
    code = "email_taken"
    title = "An account with this e-mail address exists"


class BadCredentials(NotAuthenticated):
    """The same for an unknown account, a wrong password and an inactive person."""

    code = "invalid_credentials"
    title = "The e-mail address or the password is wrong"
