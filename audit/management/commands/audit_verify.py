import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

from audit.models import LogKey
from audit.signing.log_keys import open_with_any, stored_keys
from audit.signing.notes import NoteBroken
from audit.verification import Bad
from audit.verification.log import verify_log
from audit.verification.tree import Stated

BAD, UNUSABLE = 1, 2


class Command(BaseCommand):
    help = (
        "Verify the log in the database: every entry, tile, checkpoint, number, total and index. Exit with 0 if all is "
        "right, 1 at the first entry that is not, 2 if the input cannot be used."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="an earlier checkpoint of this log")

    def handle(self, *args: Any, checkpoint: Path | None, **options: Any) -> None:
        keys = stored_keys()
        if not keys:
            self._end("The log has no key yet.", UNUSABLE)
        try:
            verified = verify_log(keys, self._read(checkpoint, keys) if checkpoint else None)
        except Bad as error:
            self._end(str(error), BAD)
        self.stdout.write(
            f"{verified.size} entries, {verified.streams} streams and {verified.checkpoints} checkpoints are right."
        )
        if checkpoint:
            self.stdout.write(f"The log continues {checkpoint}.")
        if verified.damaged:
            self.stdout.write(f"{verified.damaged} entries could not be logged: the log has their ids and digests.")
        if verified.discarded:
            self.stdout.write(f"{verified.discarded} rows of the journal that could not be read were discarded.")
        if verified.unreadable:
            self.stdout.write(
                f"Not checked: the personal data of {verified.unreadable} entries, encrypted under a former JWT_SECRET."
            )

    def _read(self, path: Path, keys: Sequence[LogKey]) -> Stated:
        try:
            _, stated = open_with_any(path.read_text(), keys)
        except (OSError, UnicodeDecodeError, NoteBroken) as error:
            self._end(f"{path} cannot be used: {error}", UNUSABLE)
        return Stated(stated.size, stated.root, str(path))

    def _end(self, message: str, status: int) -> NoReturn:
        self.stdout.write(message)
        sys.exit(status)
