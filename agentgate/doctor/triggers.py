"""Compares the triggers and functions of the database with the statements with which migrations install them."""

import re
from collections.abc import Iterator

from django.db import connection
from django.db.backends.utils import CursorWrapper

from audit.database import schema
from audit.database import triggers as of_log
from policies import triggers as of_policies

TRIGGER = re.compile(r"\s*CREATE (?:OR REPLACE )?TRIGGER (?:IF NOT EXISTS )?(\w+) (.*)", re.S)
FUNCTION = re.compile(r"\s*CREATE (?:OR REPLACE )?FUNCTION (\w+)\(.* AS \$\$(.*)\$\$", re.S)
# A trigger of each partition has the name and the text of that of the whole table.
POSTGRESQL_TRIGGERS = """
    SELECT tgname, pg_get_triggerdef(pg_trigger.oid, true) FROM pg_trigger
    JOIN pg_class ON pg_class.oid = tgrelid
    WHERE tgenabled IN ('O', 'A') AND NOT tgisinternal AND pg_table_is_visible(tgrelid)
"""
POSTGRESQL_FUNCTIONS = "SELECT proname, prosrc FROM pg_proc WHERE pg_function_is_visible(oid) AND proname = ANY(%s)"


def changed() -> list[str]:
    """Return the tables of the log that no trigger protects, and the triggers and functions that are not as installed.

    One that is missing or disabled is not as installed, either.
    """
    statements = [
        *of_log.install_statements(connection.vendor),
        *schema.create_statements(connection.vendor),
        *of_policies.install_statements(connection.vendor),
    ]
    with connection.cursor() as cursor:
        return sorted({*of_log.unprotected(cursor), *_differing(cursor, statements)})


def _differing(cursor: CursorWrapper, statements: list[str]) -> Iterator[str]:
    for pattern in (TRIGGER, FUNCTION):
        matches = filter(None, map(pattern.match, statements))
        expected = {match[1].lower(): _plain(match[2]) for match in matches}
        found = _found(cursor, pattern, list(expected))
        yield from (name for name, text in expected.items() if found.get(name) != text)


def _found(cursor: CursorWrapper, pattern: re.Pattern[str], names: list[str]) -> dict[str, str]:
    """Return the text after the name of each trigger, or the body of each function."""
    if pattern is FUNCTION:
        if connection.vendor != "postgresql":
            return {}
        cursor.execute(POSTGRESQL_FUNCTIONS, [names])
        return {name: _plain(body) for name, body in cursor.fetchall()}
    if connection.vendor == "postgresql":
        cursor.execute(POSTGRESQL_TRIGGERS)
    else:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    matches = {name.lower(): TRIGGER.match(text) for name, text in cursor.fetchall()}
    return {name: _plain(match[2]) for name, match in matches.items() if match}


def _plain(text: str) -> str:
    """Return the text with single spaces and in lower case, with the events in the order of PostgreSQL."""
    return " ".join(text.lower().split()).replace("update or delete", "delete or update")
