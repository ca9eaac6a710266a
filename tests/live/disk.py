"""The bytes of disk that an entry of the log takes, by table."""

from dataclasses import dataclass

from benchmarks.stores import execute
from tests.live.server import Database

TABLES = "audit_%"
# With indexes and what does not fit into a row. A partition is counted with its table.
POSTGRESQL = f"""
    SELECT CASE WHEN relname LIKE 'audit_entry%' THEN 'audit_entry' ELSE relname END, sum(pg_total_relation_size(oid))
    FROM pg_class WHERE relkind = 'r' AND relname LIKE '{TABLES}' GROUP BY 1 ORDER BY 1
"""
SQLITE = f"""
    SELECT master.tbl_name, sum(stat.pgsize) FROM dbstat AS stat JOIN sqlite_master AS master ON master.name = stat.name
    WHERE master.tbl_name LIKE '{TABLES}' GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Disk:
    """The bytes of each table with its indexes, and the number of entries that they are for."""

    tables: dict[str, int]
    entries: int

    @property
    def per_entry(self) -> float:
        return sum(self.tables.values()) / self.entries

    def __str__(self) -> str:
        lines = [f"{name:24} {size / self.entries:10.1f}" for name, size in self.tables.items() if size]
        return "\n".join([*lines, f"{'all':24} {self.per_entry:10.1f}"])


def measure(database: Database, entries: int) -> Disk:
    """Return what the log takes once it is tidied: `entries` is the number of its entries."""
    on_postgresql = bool(database.environment.get("DATABASE_URL"))
    execute(database, "VACUUM")
    return Disk(dict(database.rows(POSTGRESQL if on_postgresql else SQLITE)), entries)
