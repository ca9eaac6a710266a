"""The token in the link that resets a password."""

from allauth.account.models import EmailAddress
from django.contrib.auth.tokens import PasswordResetTokenGenerator

from accounts.models import User


class ResetTokens(PasswordResetTokenGenerator):
    """Ends with the password, the last sign-in and every change of an address.

    It works for a person not saved, too, so that a mail to an unknown address costs the same.
    """

    key_salt = "accounts.reset_tokens"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        emails = EmailAddress.objects.filter(user_id=user.pk).values_list("email", flat=True)
        return f"{super()._make_hash_value(user, timestamp)}|{user.email}|{'|'.join(sorted(emails))}"
