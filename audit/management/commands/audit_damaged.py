from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.discarding import DamagedRow, NotDamaged, discard, find_damaged_rows


class Command(BaseCommand):
    help = (
        "List the rows of the journal that cannot be moved into the log. With --discard, delete one of them for good: "
        "the log then has its digest and the reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--discard", type=int, metavar="ROW", help="the id of a damaged row")
        parser.add_argument("--reason", default="", help="the reason, which every reader of the whole log sees")

    def handle(self, *args: Any, discard: int | None, reason: str, **options: Any) -> None:
        if discard is None:
            self._list()
            return
        if not reason.strip():
            raise CommandError("Give a --reason.")
        self._discard(discard, reason)

    def _list(self) -> None:
        rows = find_damaged_rows()
        for row in rows:
            self.stdout.write(_line(row))
        if not rows:
            self.stdout.write("No row of the journal is damaged.")

    def _discard(self, row_id: int, reason: str) -> None:
        try:
            entry_id = discard(row_id, reason)
        except NotDamaged as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Row {row_id} is deleted. The entry {entry_id} says so.")


def _line(row: DamagedRow) -> str:
    entries = "an unknown number of entries" if row.entries is None else f"{row.entries} entries"
    return (
        f"{row.id}  {row.written_at:%Y-%m-%dT%H:%M:%SZ}  {row.size} bytes, {entries}  SHA-256 {row.sha256}  {row.why}"
    )
