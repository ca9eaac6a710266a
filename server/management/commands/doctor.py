import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from core import clock
from server.doctor.examination import Result, examine
from server.vitals import Status

EXITS = {Status.PROBLEM: 2, Status.WARNING: 1}
COLUMNS = "{:<9}{:<13}{}"


class Command(BaseCommand):
    help = (
        "Check settings, secrets, the database, keys, the log, the worker, mail, disks and backups. Changes nothing. "
        "Exit with 0 if all is right, 1 if there are warnings, 2 if there are problems."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="is_json", help="print one JSON object")

    def handle(self, *args: Any, is_json: bool, **options: Any) -> None:
        results = []
        for result in examine():
            results.append(result)
            if not is_json:
                self._print(result)
        self.stdout.write(_as_json(results) if is_json else f"\n{_summary(results)}")
        sys.exit(EXITS.get(worst(results), 0))

    def _print(self, result: Result) -> None:
        finding = result.finding
        styles = {Status.OK: self.style.SUCCESS, Status.WARNING: self.style.WARNING, Status.PROBLEM: self.style.ERROR}
        line = COLUMNS.format(finding.status, result.check, " ".join(filter(None, (finding.message, finding.remedy))))
        self.stdout.write(styles.get(finding.status, str)(line))


def worst(results: Sequence[Result]) -> Status:
    """Return the worst status: ok, warning or problem."""
    found = {result.finding.status for result in results}
    return next((status for status in EXITS if status in found), Status.OK)


def _summary(results: Sequence[Result]) -> str:
    numbers = Counter(result.finding.status for result in results)
    plural = {Status.WARNING: "warnings", Status.PROBLEM: "problems"}
    words = {status: status if numbers[status] == 1 else plural.get(status, status) for status in Status}
    return ", ".join(f"{numbers[status]} {word}" for status, word in words.items())


def _as_json(results: Sequence[Result]) -> str:
    checks = [
        {"check": name, "status": found.status, "message": found.message, "remedy": found.remedy or None}
        for name, found in results
    ]
    at = clock.rfc3339(clock.now())
    return json.dumps({"status": worst(results), "version": settings.VERSION, "checkedAt": at, "checks": checks})
