"""The token in the link that resets a password."""

from django.contrib.auth.tokens import PasswordResetTokenGenerator

from accounts.models import User


class ResetTokens(PasswordResetTokenGenerator):
    """Ends with the password, so it works once, and with the primary address.

    Nothing else that a stranger who knows the old password can do ends it: Django's own ends with every sign-in. It
    works for a person not saved, too, so that a mail to an unknown address costs the same.
    """

    key_salt = "accounts.reset_tokens"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return "|".join([user.pk, user.password, user.email, str(timestamp)])
