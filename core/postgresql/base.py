"""The name under which Django looks for a backend's wrapper (`ENGINE` in the settings)."""

from typing import Any

from django.db import Error
from django.db.backends.postgresql import base

from core import timeouts
from core.postgresql import driver


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's wrapper, with the limits of `core/timeouts.py`."""

    Database = driver

    def init_connection_state(self) -> None:
        super().init_connection_state()
        limit = timeouts.kind().statement
        if limit is not None:
            with self.connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {int(1000 * limit)}")

    def _commit(self) -> Any:
        try:
            result = super()._commit()  # type: ignore[misc]
        except Error:
            # Django replaces the error by that of the next connection, so it is remembered here. On a connection that
            # is still open, the server has refused the commit.
            if self.connection.closed:
                timeouts.report_commit(is_lost=True)
            raise
        timeouts.report_commit(is_lost=False)
        return result
