"""What a check finds."""

from dataclasses import dataclass
from datetime import timedelta

from server.vitals import Status


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says in one or two sentences, and what to do, if anything."""

    status: Status
    message: str
    remedy: str = ""


def ok(message: str) -> Finding:
    return Finding(Status.OK, message)


def skipped(message: str, remedy: str = "") -> Finding:
    return Finding(Status.SKIPPED, message, remedy)


def warning(message: str, remedy: str) -> Finding:
    return Finding(Status.WARNING, message, remedy)


def problem(message: str, remedy: str) -> Finding:
    return Finding(Status.PROBLEM, message, remedy)


def first_line(error: BaseException) -> str:
    """Return the kind of an error and the first line of what it says."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def in_words(age: timedelta) -> str:
    """Return a duration in its largest unit: "3 days", "1 hour", "0 seconds"."""
    seconds = int(age.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return count(seconds // length, unit)
    return count(seconds, "second")


def count(number: int, noun: str) -> str:
    """Return the number with its noun: "1 row", "2 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
