"""Browser sessions in the database, each with its user, so that an erasure finds them.

Django's own table names the user only inside the encoded data. `SESSION_ENGINE` names this module.

A signed-in session also stores when it started, and when, from where and with which browser it was last used, so that
the user recognizes it. This is recorded whenever the session is saved, and otherwise by at most one request per
`SEEN_EVERY`.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import DatabaseError, transaction
from django.utils.crypto import get_random_string

from accounts.models import BrowserSession, SessionToken, User
from core import clock
from core.actor import Actor

SEEN_EVERY = timedelta(minutes=5)
STARTED_AT = "started_at"

logger = logging.getLogger(__name__)


class SessionStore(DatabaseStore):
    find_visitor: Callable[[], Actor] | None = None
    """Returns who uses the session now. None outside of a request."""
    _stored: BrowserSession | None = None

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        row = cast("BrowserSession", super().create_model_instance(data))
        row.user_id = data.get(SESSION_KEY)
        if row.user_id is not None:
            started = data.get(STARTED_AT)
            row.started_at = None if started is None else datetime.fromtimestamp(started, UTC)
            for name, value in self._use(clock.now()).items():
                setattr(row, name, value)
        return row

    def record_use(self) -> None:
        """Record that a signed-in session is in use, unless that was recorded a moment ago.

        A failure is logged and has no other effect.
        """
        now, stored = clock.now(), self._stored
        if stored is None or stored.user_id is None or not is_due(stored.seen_at, now):
            return
        try:
            BrowserSession.objects.filter(pk=stored.pk, seen_at=stored.seen_at).update(**self._use(now))
        except DatabaseError:
            logger.warning("The use of a session could not be recorded.", exc_info=True)

    def _use(self, now: datetime) -> dict[str, Any]:
        """Return the address, user agent and time of this use. Outside a request, return the stored ones."""
        if self.find_visitor is not None:
            visitor = self.find_visitor()
            return {"ip": visitor.ip or "", "user_agent": visitor.user_agent, "seen_at": now}
        stored = self._stored or BrowserSession()
        return {"ip": stored.ip, "user_agent": stored.user_agent, "seen_at": stored.seen_at}

    def _get_session_from_db(self) -> BrowserSession | None:
        self._stored = cast("BrowserSession | None", super()._get_session_from_db())  # type: ignore[misc]
        return self._stored

    def _get_new_session_key(self) -> str:
        """Return 32 random characters. Do not look them up in the table: `create` tries again if they exist."""
        return get_random_string(32, VALID_KEY_CHARS)

    def save(self, must_create: bool = False) -> None:
        """Save the session, unless its user was erased or deactivated, perhaps during this request.

        In that case, raises `UpdateError`, as Django does for a session that was deleted during the request.
        """
        user_id = None if must_create else self.get(SESSION_KEY)
        if user_id is None:
            super().save(must_create)
            return
        with transaction.atomic():
            # Lock the account before the session, because an erasure locks them in this order.
            kept = User.objects.select_for_update(no_key=True, of=("self",)).filter(pk=user_id, is_active=True)
            if not kept.values_list("pk"):
                raise UpdateError
            super().save(must_create)


def record_token_use(*, actor: Actor, session: SessionToken) -> None:
    """Record that an API session is in use, unless that was recorded a moment ago."""
    now = clock.now()
    if is_due(session.seen_at, now):
        rows = SessionToken.objects.filter(pk=session.pk, seen_at=session.seen_at)
        rows.update(seen_at=now, ip=actor.ip or "", user_agent=actor.user_agent)


def is_due(seen_at: datetime | None, now: datetime) -> bool:
    """Return whether to record a use at `now`."""
    return seen_at is None or now - seen_at >= SEEN_EVERY
