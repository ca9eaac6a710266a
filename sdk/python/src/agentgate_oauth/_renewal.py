"""Refresh a session's tokens, one refresh at a time across tasks, threads and processes."""

from __future__ import annotations

import copy
from collections.abc import Callable

from ._api.tokens import ClientCredential, refresh_tokens
from ._base import Api
from ._effects import Acquire, Blocking, Flow, Sleep
from .errors import AgentGateError, InvalidGrantError, SessionEndedError, StoreError
from .stores.protocol import SessionRecord, SessionStore

_LOCK_POLL_SECONDS = 0.02
_LOCK_PATIENCE_SECONDS = 60.0


class Renewal:
    """Holds the newest tokens of one session and refreshes them shortly before they expire."""

    def __init__(
        self, api: Api, credential: ClientCredential, store: SessionStore, key: str, record: SessionRecord
    ) -> None:
        self._api = api
        self._credential = credential
        self._store = store
        self._key = key
        self._mutex = api._driver.new_mutex()
        self._failures = 0
        self._last_failure: AgentGateError | None = None
        self.record = record

    def fresh(self) -> Flow[SessionRecord]:
        """Return tokens that have not expired. Raises SessionEndedError if there are none."""
        record = self.record
        if record.is_fresh:
            return record
        return (yield from self.renewed(record))

    def renewed(self, stale: SessionRecord) -> Flow[SessionRecord]:
        """Return tokens newer than `stale`. If several callers wait, only one refreshes.

        If its attempt fails, the others raise the same error instead of trying again.
        """
        failures = self._failures
        yield Acquire(self._mutex)
        try:
            if self.record is not stale:
                return self.record
            if self._failures != failures and self._last_failure is not None:
                raise copy.copy(self._last_failure)
            return (yield from self._renew(stale))
        finally:
            self._mutex.release()

    def end(self, revoke: Callable[[SessionRecord], Flow[None]]) -> Flow[None]:
        """Revoke the newest tokens, including those of another process, and delete them from the store."""
        unlock = yield from locked(self._store, self._key)
        try:
            stored: SessionRecord | None = yield Blocking(lambda: self._store.load(self._key))
            yield from revoke(stored or self.record)
            yield Blocking(lambda: self._store.delete(self._key))
        finally:
            unlock()

    def _renew(self, stale: SessionRecord) -> Flow[SessionRecord]:
        try:
            unlock = yield from locked(self._store, self._key)
            try:
                self.record = yield from self._renew_locked(stale)
            finally:
                unlock()
        except AgentGateError as error:
            self._failures += 1
            self._last_failure = error
            raise
        return self.record

    def _renew_locked(self, stale: SessionRecord) -> Flow[SessionRecord]:
        stored: SessionRecord | None = yield Blocking(lambda: self._store.load(self._key))
        if stored is None:
            raise SessionEndedError("another process ended the session: ask for consent again")
        if stored.access_token != stale.access_token and stored.is_fresh:
            return stored
        record = yield from self._refresh(stored)
        # Store it before use: if it were used and then lost, the next process would replay the old token.
        yield Blocking(lambda: self._store.save(self._key, record))
        return record

    def _refresh(self, spent: SessionRecord) -> Flow[SessionRecord]:
        again = " Ask the agent that handed the work over to do so again." if spent.delegation_id else ""
        if spent.refresh_token is None:
            raise SessionEndedError(f"the session has no more tokens.{again}")
        call = refresh_tokens(self._credential, spent.refresh_token, spent.next_refresh_key)
        try:
            tokens = yield from self._api._call(call)
            return SessionRecord.of(tokens)
        except InvalidGrantError as error:
            problem = error.detail
        # Keep the record: the error is the same for a suspension, which may be lifted.
        raise SessionEndedError(f"the session has no more tokens: {problem}{again}")


def _unlock(unlock: Callable[[], None] | None) -> None:
    if unlock is not None:
        unlock()


def locked(
    store: SessionStore, key: str, patience: float = _LOCK_PATIENCE_SECONDS
) -> Flow[Callable[[], None]]:
    """Lock the key and return a function that unlocks it. Raises StoreError after `patience` seconds."""
    waited = 0.0
    while True:
        unlock: Callable[[], None] | None = yield Blocking(lambda: store.try_lock(key), undo=_unlock)
        if unlock is not None:
            return unlock
        if waited >= patience:
            raise StoreError("another process holds the session's lock")
        yield Sleep(_LOCK_POLL_SECONDS)
        waited += _LOCK_POLL_SECONDS
