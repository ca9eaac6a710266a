"""Checks of the database: that it answers, keeps what it commits and protects the log, and that its clock is right."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.migrations.executor import MigrationExecutor

from audit.signing import checkpoints
from core import clock
from server.doctor import schema, triggers
from server.doctor.findings import Finding, count, ok, problem, skipped, warning
from server.starting import MIGRATE

SLOW_SECONDS = 0.1
MAX_SKEW_SECONDS, BAD_SKEW_SECONDS = 1.0, 10.0
DURABLE = {"fsync": ("on",), "full_page_writes": ("on",), "synchronous_commit": ("on", "remote_apply", "remote_write")}
SYNCHRONIZE = "Run an NTP client, such as chrony, on this machine and on the database server."
OWNER = "audit_entry"
MAX_DIFFERENCES = 10


def missing_file() -> str:
    """Return the path of the SQLite file if it does not exist. Connecting, as Django's checks do, would create it."""
    path = settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"]
    return "" if connection.vendor != "sqlite" or Path(path).exists() else str(path)


def check_database() -> Iterator[Finding]:
    """Check that the database answers, and that a commit survives a power failure."""
    began = clock.now()
    _value("SELECT 1")
    seconds = (clock.now() - began).total_seconds()
    version = _value("SHOW server_version" if _is_postgresql() else "SELECT sqlite_version()")
    message = f"{connection.display_name} {version.partition(' ')[0]} answers in {1000 * seconds:.1f} ms"
    if seconds > SLOW_SECONDS:
        yield warning(f"{message}.", "Each decision takes two round trips. Move the server closer to its database.")
        return
    lossy = [name for name, values in DURABLE.items() if _is_postgresql() and _value(f"SHOW {name}") not in values]
    if lossy:
        yield problem(f"{message}, but may lose commits: {', '.join(lossy)}.", "Set them to on in postgresql.conf.")
    else:
        yield ok(f"{message}, and makes commits durable.")


def check_clock() -> Iterator[Finding]:
    """Compare the clocks of this machine, the database and the log."""
    newest = checkpoints.latest()
    ahead = (newest.created_at - clock.now()).total_seconds() if newest else 0.0
    if ahead > MAX_SKEW_SECONDS:
        message = f"The newest checkpoint of the log is {ahead:.0f} seconds ahead of this machine's clock."
        yield problem(message, f"A clock is wrong, or was. {SYNCHRONIZE}")
    elif not _is_postgresql():
        yield ok("SQLite uses the clock of this machine, and the log is not ahead of it.")
    else:
        yield _compare_clocks()


def _compare_clocks() -> Finding:
    before = clock.now()
    theirs = _value("SELECT clock_timestamp()")
    after = clock.now()
    skew = (theirs - (before + (after - before) / 2)).total_seconds()
    message = f"The database's clock differs by {abs(skew):.3f} seconds."
    if abs(skew) > BAD_SKEW_SECONDS:
        return problem(message, f"Tokens, limits and approvals end at the wrong time. {SYNCHRONIZE}")
    return warning(message, SYNCHRONIZE) if abs(skew) > MAX_SKEW_SECONDS else ok(message)


def check_migrations() -> Iterator[Finding]:
    """Compare the database with the migrations of this version."""
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    disk = executor.loader.disk_migrations or {}
    apps = {app for app, _ in disk}
    unknown = [key for key in executor.loader.applied_migrations if key[0] in apps and key not in disk]
    replaced = {old for migration in disk.values() for old in migration.replaces}
    newer = [f"{app}.{name}" for app, name in unknown if (app, name) not in replaced]
    if pending:
        yield problem(f"The database lacks {count(len(pending), 'migration')}.", f"{MIGRATE[0].upper()}{MIGRATE[1:]}.")
    elif newer:
        remedy = "Run the version that migrated it, or restore the backup from before the upgrade."
        yield problem(f"The database is newer than this program: it has {', '.join(sorted(newer))}.", remedy)
    else:
        yield ok("The database has all migrations.")


def check_schema() -> Iterator[Finding]:
    """Compare the tables with the models, because an applied migration may have been edited since."""
    found = list(schema.differences())
    if found:
        message = f"The tables are not as this version needs them: {_first(found)}."
        remedy = "A migration was edited after it had run here, or a table was altered. Undo it, or restore a backup."
        yield problem(message, remedy)
    else:
        yield ok("The tables have the columns, keys, constraints and indexes of the models.")


def check_triggers() -> Iterator[Finding]:
    """Check the triggers that make the log insert-only, and those that notify the servers of changed policies."""
    changed = triggers.changed()
    if changed:
        remedy = "Find out who changed them, and run ./dev manage audit_verify before you trust the log."
        message = f"Triggers, rules or functions are missing, disabled, changed or not ours: {_first(changed)}."
        yield problem(message, remedy)
    else:
        yield ok("Triggers protect all tables of the log, and notify the servers of changed policies.")


def _first(found: list[str]) -> str:
    more = f", and {len(found) - MAX_DIFFERENCES} more" if len(found) > MAX_DIFFERENCES else ""
    return f"{', '.join(found[:MAX_DIFFERENCES])}{more}"


def check_roles() -> Iterator[Finding]:
    """Check that the application's role could not change the log, even without the triggers."""
    if not _is_postgresql():
        yield skipped("SQLite has no roles: anyone who can write to the file can change the log.")
        return
    role = _value("SELECT current_user")
    if _value("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(%s)", OWNER):
        remedy = "Give it one of its own: ./dev manage audit_roles prints the SQL (docs/operations.md#database-roles)."
        yield warning(f"The role {role} owns the log's tables, so it could change them.", remedy)
    elif any(_value("SELECT has_table_privilege(%s, %s)", OWNER, right) for right in ("UPDATE", "DELETE", "TRUNCATE")):
        yield problem(f"The role {role} may change entries of the log.", "Run ./dev manage audit_roles again.")
    else:
        yield ok(f"The role {role} can add to the journal, and cannot change the log.")


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def _value(query: str, *parameters: str) -> Any:
    """Return the first column of the first row."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()[0]
