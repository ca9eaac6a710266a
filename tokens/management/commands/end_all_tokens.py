from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.actor import SYSTEM
from tokens.restored import end_what_was_restored


class Command(BaseCommand):
    help = (
        "End all tokens and what could become one, for example after a restore: unused codes, requests that wait, "
        "approvals, and sessions of browsers and the API. Agents must ask for consent again, and users must sign in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="the reason recorded in the audit log")
        parser.add_argument(
            "--passwords",
            action="store_true",
            help="end all passwords and second factors, too, so that each user must set a new password by mail",
        )

    def handle(self, *args: Any, reason: str, passwords: bool, **options: Any) -> None:
        ended = end_what_was_restored(actor=SYSTEM, reason=reason, with_passwords=passwords)
        lines = [
            f"Ended: connections {ended.connections}, unused codes {ended.codes}, requests {ended.requests}, "
            f"approvals {ended.approvals}, sessions {ended.sessions}.",
            "Agents must ask for consent again, and users must sign in again.",
        ]
        if passwords:
            lines.append(
                f"Accounts whose password and second factors ended: {ended.accounts}. New ones are set by mail."
            )
        self.stdout.write("\n".join(lines))
