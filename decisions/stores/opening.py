"""Choose the store for Django's default database."""

from pathlib import Path

from django.db import connections

from decisions.stores.base import Store
from decisions.stores.postgresql import PostgresqlStore, conninfo_of
from decisions.stores.sqlite import SqliteStore


def make_store() -> Store:
    """Return a store on the default database. It connects with its first batch."""
    settings = connections["default"].settings_dict
    if connections["default"].vendor == "postgresql":
        return PostgresqlStore(conninfo_of(settings))
    return SqliteStore(Path(settings["NAME"]).absolute())
