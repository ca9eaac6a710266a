"""Compares the triggers and functions of the database with the statements that install them in migrations."""

import re
from collections.abc import Iterator

from django.db import connection
from django.db.backends.utils import CursorWrapper

from audit.database import schema
from audit.database import triggers as of_log
from policies import triggers as of_policies

TRIGGER = re.compile(r"\s*CREATE (?:OR REPLACE )?TRIGGER (?:IF NOT EXISTS )?(\w+) (.*)", re.S)
FUNCTION = re.compile(r"\s*CREATE (?:OR REPLACE )?FUNCTION (\w+)\(.* AS \$\$(.*)\$\$", re.S)
# Where someone else's trigger or rule could lose entries, or hide a change of policies from the servers.
WATCHED = "audit_%", "policies_policy", "developers_organization"
POSTGRESQL_TRIGGERS = """
    WITH watched AS (
        SELECT oid, relname, relrowsecurity FROM pg_class
        WHERE relname LIKE ANY(%s) AND pg_table_is_visible(oid)
        OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_entry'::regclass)
    )
    SELECT tgname, CASE WHEN tgenabled <> 'R' THEN pg_get_triggerdef(pg_trigger.oid, true) ELSE '' END, relname
    FROM pg_trigger
    JOIN watched ON watched.oid = tgrelid WHERE tgenabled <> 'D' AND NOT tgisinternal
    UNION ALL SELECT rulename, pg_get_ruledef(pg_rewrite.oid), relname FROM pg_rewrite
    JOIN watched ON watched.oid = ev_class WHERE ev_enabled <> 'D'
    UNION ALL SELECT 'row security', '', relname FROM watched WHERE relrowsecurity
"""
SQLITE_TRIGGERS = """
    SELECT name, sql, tbl_name FROM sqlite_master
    WHERE type = 'trigger' AND (tbl_name LIKE %s OR tbl_name LIKE %s OR tbl_name LIKE %s)
"""
# `audit_protect` gives it to each table and partition.
INSERT_ONLY = "before delete or update or truncate on {} for each statement execute function audit_refuse_change()"
POSTGRESQL_FUNCTIONS = "SELECT proname, prosrc FROM pg_proc WHERE pg_function_is_visible(oid) AND proname = ANY(%s)"


def changed() -> list[str]:
    """Return the tables of the log that no trigger protects, and the triggers and functions that are not as installed.

    That includes those that are missing or disabled, and triggers and rules that no migration installs.
    """
    statements = [
        *of_log.install_statements(connection.vendor),
        *schema.create_statements(connection.vendor),
        *of_policies.install_statements(connection.vendor),
    ]
    with connection.cursor() as cursor:
        found = {*of_log.unprotected(cursor), *_triggers(cursor, statements), *_functions(cursor, statements)}
    return sorted(found)


def _triggers(cursor: CursorWrapper, statements: list[str]) -> Iterator[str]:
    expected = _texts(TRIGGER, statements).items()
    if connection.vendor == "postgresql":
        cursor.execute(POSTGRESQL_TRIGGERS, [[*WATCHED]])
    else:
        cursor.execute(SQLITE_TRIGGERS, WATCHED)
    found = [(name.lower(), _without_name(text), table) for name, text, table in cursor.fetchall()]
    missing = {name for name, _ in expected - {(name, text) for name, text, _ in found}}
    yield from missing
    for name, text, table in found:
        is_ours = (name, text) in expected or (name, text) == ("audit_insert_only", INSERT_ONLY.format(table))
        if not is_ours and name not in missing:
            yield f"{name} on {table}"


def _functions(cursor: CursorWrapper, statements: list[str]) -> Iterator[str]:
    if connection.vendor != "postgresql":
        return
    expected = _texts(FUNCTION, statements)
    cursor.execute(POSTGRESQL_FUNCTIONS, [list(expected)])
    found = {name: _plain(body) for name, body in cursor.fetchall()}
    yield from (name for name, text in expected.items() if found.get(name) != text)


def _texts(pattern: re.Pattern[str], statements: list[str]) -> dict[str, str]:
    """Return the text after the name of each trigger, or the body of each function."""
    matches = filter(None, map(pattern.match, statements))
    return {match[1].lower(): _plain(match[2]) for match in matches}


def _without_name(text: str) -> str:
    match = TRIGGER.match(text)
    return _plain(match[2]) if match else text


def _plain(text: str) -> str:
    """Return the text with single spaces and in lower case, with the events in the order of PostgreSQL."""
    return " ".join(text.lower().split()).replace("update or delete", "delete or update")
