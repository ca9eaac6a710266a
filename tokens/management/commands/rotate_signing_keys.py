from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.actor import SYSTEM
from core.errors import Conflict
from tokens.keys import rotate_keys


class Command(BaseCommand):
    help = "Publish a new signing key, used after ten minutes. Tokens signed with earlier keys stay valid."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = rotate_keys(actor=SYSTEM)
        except Conflict as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{key.kid} ({key.algorithm}) signs from {key.activates_at:%Y-%m-%d %H:%M:%S} UTC")
