"""A question: a request whose token has been read. Making one needs no I/O, except to load an unknown signing key."""

from typing import NamedTuple

from core import secrets
from decisions.memory import Bounded
from decisions.requests import VerifyRequest
from tokens.access_tokens import Claims, FindKey, read_access_token
from tokens.keys import verification_key

MAX_TOKENS = 50_000

# By the digest of the whole token: an ECDSA signature has a second valid spelling, so its parts identify nothing.
_claims: Bounded[str, Claims] = Bounded(MAX_TOKENS)


class Question(NamedTuple):
    """A request with the claims of its token, or None if we did not sign it, and the audience that it names.

    `continues` is whether another batch has just decided other questions of its call.
    """

    request: VerifyRequest
    claims: Claims | None
    named_audience: str | None
    continues: bool = False

    @property
    def needs_database(self) -> bool:
        """Whether anything must be read: a token that we did not sign is invalid whatever the database says."""
        return self.claims is not None or self.request.credential is not None


def make_question(request: VerifyRequest, find_key: FindKey = verification_key) -> Question:
    """Return the question of a request. Raises what `find_key` raises."""
    named = None if request.credential else request.named_audience
    return Question(request, _read(request.token, find_key), named)


def _read(token: str, find_key: FindKey) -> Claims | None:
    """Return the claims of a token that we signed, whether expired or not."""
    digest = secrets.digest(token)
    claims = _claims.get(digest)
    if claims is None:
        claims = read_access_token(token, find_key)
        if claims is not None:
            _claims[digest] = claims
    return claims
