from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.database.roles import Roles, statements


class Command(BaseCommand):
    help = "Print the SQL for the PostgreSQL roles of the owner, the application, the sequencer and the archiver."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        for role, name in Roles()._asdict().items():
            parser.add_argument(f"--{role}", default=name, metavar="ROLE", help=f"default: {name}")

    def handle(self, *args: Any, **options: Any) -> None:
        roles = Roles(*(options[role] for role in Roles._fields))
        try:
            found = statements(roles)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("\n".join(f"{statement};" for statement in ["BEGIN", *found, "COMMIT"]))
