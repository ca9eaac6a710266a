"""Print the bytes of disk that an entry of the log takes, by table: `python -m benchmarks.disk --entries 50000`.

The decisions are those of all measurements: wide entries of 1,000 connections (`benchmarks.seed`).
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import wrk
from benchmarks.log import Log
from benchmarks.ratios import say
from benchmarks.seed import Wanted
from benchmarks.stores import STORES, Store, execute, opened, prepare_environment
from benchmarks.targets import product, verify
from tests.live.server import Database

CONNECTIONS = 32
SECONDS = 5
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


@contextmanager
def filled(store: Store, entries: int, folder: Path) -> Iterator[Database]:
    """Yield a database with at least `entries` decisions, all in the log, once its server has stopped."""
    seeded = store.seeded(Wanted())
    with product(store, seeded) as server:
        target, log = verify(server, seeded), Log(seeded.database)
        script = target.load.write(folder, target.name)
        while log.answers < entries:
            log.expect(wrk.run(target.url, script, connections=CONNECTIONS, seconds=SECONDS).answers)
    yield seeded.database


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.disk", description=__doc__)
    parser.add_argument("--entries", type=int, default=50_000, help="how many decisions at least")
    parser.add_argument("--store", choices=STORES, action="append", help="default: both")
    options = parser.parse_args()
    wrk.require_wrk()
    prepare_environment()
    for name in options.store or STORES:
        with (
            tempfile.TemporaryDirectory(prefix="agentgate-disk-") as folder,
            opened(name, Path(folder)) as store,
            filled(store, options.entries, Path(folder)) as database,
        ):
            disk = measure(database, database.count("audit_entry"))
            say(f"{name}: bytes per entry, of {disk.entries} entries\n{disk}")


if __name__ == "__main__":
    main()
