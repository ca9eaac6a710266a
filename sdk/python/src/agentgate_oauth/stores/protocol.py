"""The interface of session stores, and the records that they keep."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Protocol

from .._call import new_idempotency_key
from .._decode import reader
from .._json import read_json
from ..errors import StoreError, UnexpectedResponseError
from ..models import Tokens

# Refresh this long before the access token expires, so that it does not expire in transit.
_MARGIN_SECONDS = 30.0
# Refresh at least this often. A response can state any number, also one that is too large for a time.
_MAX_SECONDS = 24 * 3600


@dataclass(frozen=True)
class SessionRecord:
    """The newest tokens of a session.

    `renew_after` is in seconds since the epoch. `next_refresh_key` is the `Idempotency-Key` of the next
    refresh. It is stored in advance: a process that lost the response, even in a crash, repeats the request
    with the same key. Using the refresh token a second time with another key would end the family. What
    another agent handed over for a short time has no refresh token.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    next_refresh_key: str = field(repr=False)
    renew_after: float
    user_id: str | None
    agent_id: str
    consent_id: str | None
    granted_scopes: tuple[str, ...]
    delegation_id: str | None = None

    @classmethod
    def of(cls, tokens: Tokens) -> SessionRecord:
        seconds = max(0, min(tokens.expires_in, _MAX_SECONDS))
        # Without a refresh token, there is nothing to do before it expires.
        margin = min(_MARGIN_SECONDS, seconds * 0.1) if tokens.refresh_token else 0.0
        return cls(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            next_refresh_key=new_idempotency_key(),
            renew_after=time.time() + seconds - margin,
            user_id=tokens.user_id,
            agent_id=tokens.agent_id,
            consent_id=tokens.consent_id,
            granted_scopes=tokens.granted_scopes,
            delegation_id=tokens.delegation_id,
        )

    @property
    def revocable(self) -> str:
        """The token whose revocation ends the session."""
        return self.refresh_token or self.access_token

    @property
    def is_fresh(self) -> bool:
        return time.time() < self.renew_after

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> SessionRecord:
        """Return the record that `dump` wrote. Raises StoreError for any other text."""
        with contextlib.suppress(ValueError, UnexpectedResponseError):
            record = reader(cls, naming=str)(read_json(text.encode()))
            if math.isfinite(record.renew_after):
                return record
        # Raised outside the handler, because the parser's exception contains the text.
        raise StoreError("a stored session cannot be read: delete it, and ask the user for consent again")


class SessionStore(Protocol):
    """Keeps records by key. Its methods may block; they are never called on an event loop's thread.

    A store that processes share must lock between processes, too: a refresh token works once, and the lock
    prevents two processes from using the same one.
    """

    def load(self, key: str) -> SessionRecord | None:
        """Return the newest record, None if there is none."""
        ...

    def save(self, key: str, record: SessionRecord) -> None:
        """Replace the record. Once this returns, it must survive a crash."""
        ...

    def delete(self, key: str) -> None:
        """Delete the record, if there is one."""
        ...

    def try_lock(self, key: str) -> Callable[[], None] | None:
        """Lock the key and return a function that unlocks it, or None at once if the key is locked.

        Unlocking must not block. The lock must be released if the process dies.
        """
        ...
