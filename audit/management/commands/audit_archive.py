from argparse import ArgumentParser
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import BaseCommand, CommandError

from audit.archiving.archive import archive_month, archive_next, verify_archives
from audit.archiving.archive_format import Broken
from core.errors import DomainError


class Command(BaseCommand):
    help = "Archive the oldest month that is due, or the given one. With --verify, read archived months back instead."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--month", type=int, metavar="YYYYMM", help="a month, however recent it is")
        parser.add_argument("--verify", action="store_true", help="check what is archived, and change nothing")

    def handle(self, *args: Any, month: int | None, verify: bool, **options: Any) -> None:
        try:
            found = self._verify(month) if verify else self._archive(month)
        except Broken as error:
            raise CommandError(f"The archive is damaged. {error}") from error
        except DomainError as error:
            raise CommandError(error.detail) from error
        except (OSError, BotoCoreError, ClientError) as error:
            raise CommandError(f"The storage cannot be used: {error}") from error
        if not found:
            self.stdout.write("Nothing is archived." if verify else "No month is due.")

    def _archive(self, month: int | None) -> bool:
        found = archive_month(month, self.stdout.write) if month else archive_next(self.stdout.write)
        return found is not None

    def _verify(self, month: int | None) -> bool:
        return verify_archives(month, self.stdout.write) > 0
