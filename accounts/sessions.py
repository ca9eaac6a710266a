"""Browser sessions in the database, with the user that each belongs to, so that an erasure finds them.

Django's own table names the user only inside the encoded data. `SESSION_ENGINE` names this module.
"""

from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import transaction
from django.utils.crypto import get_random_string

from accounts.models import BrowserSession, User


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        row = cast("BrowserSession", super().create_model_instance(data))
        row.user_id = data.get(SESSION_KEY)
        return row

    def _get_new_session_key(self) -> str:
        """Return 32 random characters, without looking for them in the table: `create` tries again if they exist."""
        return get_random_string(32, VALID_KEY_CHARS)

    def save(self, must_create: bool = False) -> None:
        """Save the session, unless its user was erased, perhaps during this request: it has personal data.

        Raises `UpdateError` then, as Django does for a session that was deleted during the request.
        """
        user_id = None if must_create else self.get(SESSION_KEY)
        if user_id is None:
            super().save(must_create)
            return
        with transaction.atomic():
            # The account before the session, because an erasure locks them in this order.
            kept = User.objects.select_for_update(no_key=True, of=("self",)).filter(pk=user_id, erased_at=None)
            if not kept.values_list("pk"):
                raise UpdateError
            super().save(must_create)
