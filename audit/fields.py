"""A compact column for the ids of entries."""

from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from core.ids import PrefixedIdField


class CompactIdField(PrefixedIdField):
    """A prefixed UUIDv7 that takes 16 bytes in the database: `uuid` on PostgreSQL, a blob on SQLite.

    A value that is not such an id equals no row.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "uuid" if connection.vendor == "postgresql" else "blob"

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        return {"type": self.db_type(connection), "check": None, "collation": None}

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if value is None:
            return None
        return pack_id(str(value)) if connection.vendor == "postgresql" else pack_id(str(value)).bytes

    def from_db_value(self, value: Any, *_: Any) -> str | None:
        return None if value is None else unpack_id(value, self.prefix)


NO_ID = UUID(int=0)


def pack_id(entry_id: str) -> UUID:
    """Return the UUID in an id, or one that no id has if this is not an id."""
    _, _, digits = entry_id.partition("_")
    try:
        return UUID(hex=digits) if len(digits) == 32 else NO_ID
    except ValueError:
        return NO_ID


def unpack_id(value: UUID | bytes, prefix: str = "log") -> str:
    digits = value.hex if isinstance(value, UUID) else bytes(value).hex()
    return f"{prefix}_{digits}"
