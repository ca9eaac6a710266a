from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.actor import SYSTEM
from tokens.families import end_all_families


class Command(BaseCommand):
    help = "End every token, for instance after a restore. Agents must ask for consent again; people stay signed in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="what the log says about it")

    def handle(self, *args: Any, reason: str, **options: Any) -> None:
        ended = end_all_families(actor=SYSTEM, reason=reason)
        self.stdout.write(f"{ended} {'connection' if ended == 1 else 'connections'} must ask again")
