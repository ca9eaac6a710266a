"""Runs all checks, in order. A check can neither end the examination nor write to the database."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from django.db import DatabaseError, connection

from server.doctor import backups, configuration, database, keys, log, services
from server.doctor.findings import Finding, first_line, problem, skipped
from server.vitals import Status

Check = Callable[[], Iterator[Finding]]


class Result(NamedTuple):
    """A finding, and the name of the check that made it."""

    check: str
    finding: Finding


CONFIGURATION: dict[str, Check] = {
    "secrets": configuration.check_secrets,
    "metrics": configuration.check_metrics,
}
# In this order: after a problem, the next ones could not be read.
DATABASE: dict[str, Check] = {
    "settings": configuration.check_settings,
    "database": database.check_database,
    "migrations": database.check_migrations,
}
IN_THE_DATABASE: dict[str, Check] = {
    "clock": database.check_clock,
    "schema": database.check_schema,
    "triggers": database.check_triggers,
    "roles": database.check_roles,
    "signing key": keys.check_signing_key,
    "log key": keys.check_log_key,
    "sequencer": log.check_sequencer,
    "journal": log.check_journal,
    "anchors": log.check_anchors,
    "witnesses": log.check_witnesses,
    "archive": log.check_archive,
    "worker": services.check_worker,
    "sweeps": services.check_sweeps,
    "mail": services.check_mail,
}
BESIDE_THE_DATABASE: dict[str, Check] = {
    "cache": services.check_cache,
    "disk": services.check_disk,
    "backups": backups.check_backups,
}


def examine() -> Iterator[Result]:
    """Yield what each check finds. What needs the database is skipped if it does not answer or is not migrated."""
    yield from _run_all(CONFIGURATION)
    with reading_only() as refusal:
        if refusal:
            yield Result("database", refusal)
            yield from _skip({**DATABASE, **IN_THE_DATABASE}, "The database does not answer.")
        else:
            yield from _examine_database()
    yield from _run_all(BESIDE_THE_DATABASE)


def _examine_database() -> Iterator[Result]:
    found = list(_run_all(DATABASE))
    yield from found
    if any(check == "migrations" and finding.status is Status.PROBLEM for check, finding in found):
        yield from _skip(IN_THE_DATABASE, "The database does not match this version.")
    else:
        yield from _run_all(IN_THE_DATABASE)


def _skip(checks: Iterable[str], why: str) -> Iterator[Result]:
    yield from (Result(name, skipped(why)) for name in checks if name != "database")


def _run_all(checks: Mapping[str, Check]) -> Iterator[Result]:
    """Yield what the checks find. An error counts as a problem, because what could not be checked may be wrong."""
    for name, check in checks.items():
        try:
            yield from (Result(name, finding) for finding in check())
        except Exception as error:
            remedy = "Fix what the other checks report, and run this again."
            yield Result(name, problem(f"It could not be checked: {first_line(error)}.", remedy))


@contextmanager
def reading_only() -> Iterator[Finding | None]:
    """Make the connection read-only. Yield a finding if the database does not answer, otherwise None."""
    refusal = _open()
    try:
        yield refusal
    finally:
        if refusal is None and connection.connection is not None:
            _execute("RESET default_transaction_read_only", "PRAGMA query_only = OFF")


def _open() -> Finding | None:
    path = database.missing_file()
    if path:
        return problem(f"There is no database at {path}.", "Run ./dev manage migrate.")
    try:
        # Django finds this out by a write, and caches it. Its checks of models need it.
        _ = connection.features.supports_json_field
        _execute("SET default_transaction_read_only = on", "PRAGMA query_only = ON")
    except DatabaseError as error:
        return problem(f"It does not answer: {first_line(error)}.", "Start it, or correct DATABASE_URL.")
    return None


def _execute(postgresql: str, sqlite: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(postgresql if connection.vendor == "postgresql" else sqlite)
