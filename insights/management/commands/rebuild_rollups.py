from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.proof.members import MissingEntry
from core.errors import DomainError
from insights.services import rebuild

ENTRIES_PER_REPORT = 100_000


class Command(BaseCommand):
    help = "Count the whole log again for the analytics. Pages show the former numbers until it is done."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            counted = rebuild(self._report)
        except MissingEntry as error:
            raise CommandError(f"The log is damaged. {error}") from error
        except DomainError as error:
            raise CommandError(f"{error.detail} Run the command again: it goes on where it has stopped.") from error
        self.stdout.write(f"Counted {counted} entries.")

    def _report(self, counted: int) -> None:
        if counted % ENTRIES_PER_REPORT == 0:
            self.stdout.write(f"Counted {counted} entries so far.")
