"""The token in a password reset link."""

from django.contrib.auth.tokens import PasswordResetTokenGenerator

from accounts.models import User


class ResetTokens(PasswordResetTokenGenerator):
    """Tokens that stop working when the password or the primary address changes, so each works once.

    Django's own tokens also end with every sign-in, so a stranger who knows the old password could end them. An unsaved
    user gets a token too, so that an email to an unknown address costs the same work.
    """

    key_salt = "accounts.reset_tokens"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return "|".join([user.pk, user.password, user.email, str(timestamp)])
