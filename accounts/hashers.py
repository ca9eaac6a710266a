"""Argon2id in bounded memory: each hash takes 100 MiB, so eight at once would outweigh the rest of the process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.utils.translation import gettext_noop

from core.errors import Unavailable

AT_ONCE = 2
WAIT_SECONDS = 5.0

_turns = BoundedSemaphore(AT_ONCE)


class BoundedArgon2Hasher(Argon2PasswordHasher):
    """Hash at most `AT_ONCE` passwords at a time in this process. Others wait.

    Raises `Unavailable` after `WAIT_SECONDS`, because a waiting thread cannot serve other requests.
    """

    def encode(self, password: str, salt: str) -> str:
        with _turn():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _turn():
            return super().verify(password, encoded)


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=WAIT_SECONDS):
        raise Unavailable(gettext_noop("Too many people are signing in at the moment. Try again in a few seconds."))
    try:
        yield
    finally:
        _turns.release()
