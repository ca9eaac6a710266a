from typing import Any

from django.core.management.base import BaseCommand, CommandError

from server.old_rows import purge_old_rows


class Command(BaseCommand):
    help = (
        "Remove what was deleted or changed, such as the data of erased users, from the files of the database. On "
        "PostgreSQL, it rewrites most tables, and requests wait meanwhile. Run it as the owner of the database."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        problems = purge_old_rows()
        if problems:
            raise CommandError("Some old rows are still in the files. Run the command again.\n" + "\n".join(problems))
        self.stdout.write("The files of the database no longer have rows that were deleted or changed.")
