from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.actor import SYSTEM
from tokens.families import end_all_families


class Command(BaseCommand):
    help = "Revoke all tokens, for example after a restore. Agents must ask for consent again. Users stay signed in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="the reason recorded in the audit log")

    def handle(self, *args: Any, reason: str, **options: Any) -> None:
        ended = end_all_families(actor=SYSTEM, reason=reason)
        self.stdout.write(
            f"{ended} {'connection' if ended == 1 else 'connections'} ended. Agents must ask for consent again."
        )
