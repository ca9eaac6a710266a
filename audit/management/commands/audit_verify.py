import sys
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

from audit.log_keys import Signer, signer
from audit.models import LogKey
from audit.notes import NoteBroken, open_checkpoint
from audit.verification.bad import Bad
from audit.verification.log import verify_log
from audit.verification.tree import Stated
from core.crypto import SealBroken

BAD, UNUSABLE = 1, 2


class Command(BaseCommand):
    help = (
        "Verify the log in the database: every entry, tile, checkpoint, number, total and index. Exit with 0 if all is "
        "right, 1 at the first entry that is not, 2 if the input cannot be used."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="an earlier checkpoint of this log")

    def handle(self, *args: Any, checkpoint: Path | None, **options: Any) -> None:
        key = self._key()
        try:
            verified = verify_log(key, self._read(checkpoint, key) if checkpoint else None)
        except Bad as error:
            self._end(str(error), BAD)
        earlier = f" It continues {checkpoint}." if checkpoint else ""
        self.stdout.write(
            f"{verified.size} entries, {verified.streams} streams and {verified.checkpoints} checkpoints are right."
            f"{earlier}"
        )

    def _key(self) -> Signer:
        if not LogKey.objects.exists():
            self._end("The log has no key yet.", UNUSABLE)
        try:
            return signer()
        except SealBroken:
            self._end("The log's key is encrypted with another JWT_SECRET.", UNUSABLE)

    def _read(self, path: Path, key: Signer) -> Stated:
        try:
            stated = open_checkpoint(path.read_text(), key.origin, key.public)
        except (OSError, UnicodeDecodeError, NoteBroken) as error:
            self._end(f"{path} cannot be used: {error}", UNUSABLE)
        return Stated(stated.size, stated.root, str(path))

    def _end(self, message: str, status: int) -> NoReturn:
        self.stdout.write(message)
        sys.exit(status)
