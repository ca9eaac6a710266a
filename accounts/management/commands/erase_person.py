from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from accounts.addresses import normalize_email
from accounts.erasure import erase_user
from accounts.models import User
from audit.models import Journal
from core.actor import SYSTEM
from core.errors import DomainError

QUESTION = "Erase {user} and end all their connections? This cannot be undone. Enter the user ID to confirm: "
DONE = """Erased {id}.
  The account has no address, name or password, and its sessions, connections and tokens have ended.
  The key of its personal data in the log is destroyed. The log's entries and proofs remain.
  Backups made before still have the data and its key (docs/operations.md)."""
FILES = "  PostgreSQL's files hold it, too, until you run purge_old_rows, which can wait for a quiet hour."
AGAIN = "{id} was already erased. Anything left since then is now erased too."


class Command(BaseCommand):
    help = "Erase a person's data: from the account and, by destroying its key, from the log, archives and exports."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", help="the user's ID, usr_..., or primary email address")
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    def handle(self, *args: Any, person: str, yes: bool, **options: Any) -> None:
        user = _find(person)
        if not yes and input(QUESTION.format(user=f"{user.id} ({user.email})")).strip() != user.id:
            raise CommandError("Nothing was erased.")
        try:
            is_first = erase_user(actor=SYSTEM, user=user)
        except DomainError as error:
            raise CommandError(f"{error.detail}. {error.remedy}") from error
        self.stdout.write((DONE if is_first else AGAIN).format(id=user.id))
        if connection.vendor == "postgresql":
            self.stdout.write(FILES)
        if Journal.objects.exists():
            self.stdout.write("  Entries that wait in the journal lose the data when the sequencer moves them.")


def _find(person: str) -> User:
    try:
        wanted = {"pk": person} if person.startswith("usr_") else {"email": normalize_email(person)}
        return User.objects.get(**wanted)
    except (User.DoesNotExist, DomainError) as error:
        raise CommandError("There is no user with this ID or primary email address.") from error
