"""PostgreSQL roles, so that the application cannot change the log even if it is taken over.

The owner of the tables migrates, and nothing else logs in as it. The application writes to the journal, the sequencer
to the log. The archiver records what it has archived, and drops a month by a function that checks the record.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from django.apps import apps
from psycopg import sql

READ = "SELECT"
ADD = "SELECT, INSERT"
CHANGE = "SELECT, INSERT, UPDATE"
ALL = "SELECT, INSERT, UPDATE, DELETE"

# The application's on tables of the log. Tables that are missing here are read-only. Keys are updated to destroy them.
APPLICATION = {"audit_journal": ADD, "audit_personalkey": CHANGE, "audit_logkey": ADD}
SEQUENCER = {
    "audit_journal": "SELECT, DELETE",
    "audit_personalkey": ADD,
    "audit_logkey": ADD,
    "audit_entry": ADD,
    "audit_tile": ADD,
    "audit_checkpoint": ADD,
    "audit_cosignature": ADD,
    "audit_witnessfailure": ALL,
    "audit_segment": ADD,
    "audit_posting": ADD,
    "audit_stream": CHANGE,
    "audit_progress": CHANGE,
}
ARCHIVER = {"audit_archive": CHANGE, "audit_archivedobject": "SELECT, INSERT, DELETE"}
FUNCTIONS = {
    "audit_add_month(integer)": "sequencer",
    "audit_drop_month(integer)": "archiver",
    "audit_protect(regclass)": None,
}
MIGRATIONS = "django_migrations"
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")

CREATE = """DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN CREATE ROLE {role} LOGIN; END IF;
END $$"""
# What an extension has created stays its own. Sequences follow their tables.
OWN = """DO $$ DECLARE found record; BEGIN
    FOR found IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND c.relowner <> {name}::regrole
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
    LOOP EXECUTE format('ALTER TABLE %s OWNER TO %I', found.name, {name}); END LOOP;
    FOR found IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = current_schema() AND p.proowner <> {name}::regrole
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
    LOOP EXECUTE format('ALTER FUNCTION %s OWNER TO %I', found.name, {name}); END LOOP;
END $$"""
ON_SCHEMA = """DO $$ BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {application}, {sequencer}, {archiver}', current_schema());
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO {owner}', current_schema());
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, {application}, {sequencer}, {archiver}', current_schema());
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC, {application}, {sequencer}, {archiver}',
        current_schema());
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO {application}', current_schema());
END $$"""
# The sequencer frees the space of moved rows itself. Before version 17, only the owner could let it.
MAINTAIN = """DO $$ BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        EXECUTE 'GRANT MAINTAIN ON audit_journal TO {sequencer}';
    END IF;
END $$"""


class Roles(NamedTuple):
    """The names of the roles."""

    owner: str = "agentgate_owner"
    application: str = "agentgate_app"
    sequencer: str = "agentgate_sequencer"
    archiver: str = "agentgate_archiver"


def statements(roles: Roles) -> list[str]:
    """Return the SQL that creates the roles and gives each its rights. A superuser runs it after each migration.

    Raises `ValueError` for a name that would have to be quoted.
    """
    return [one.as_string() for one in _statements(roles, _tables())]


def _statements(roles: Roles, tables: Mapping[str, bool]) -> Iterator[sql.Composed]:
    names = {field: sql.Identifier(name) for field, name in roles._asdict().items()}
    for name in roles:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name} is not the name of a role: use lower-case letters, digits and _.")
        yield sql.SQL(CREATE).format(name=sql.Literal(name), role=sql.Identifier(name))
    yield sql.SQL(OWN).format(name=sql.Literal(roles.owner))
    yield sql.SQL(ON_SCHEMA).format(**names)
    for table, is_log in sorted(tables.items()):
        yield _grant(APPLICATION.get(table, READ) if is_log else ALL, table, roles.application)
    yield _grant(READ, MIGRATIONS, roles.application)
    yield _grant(READ, MIGRATIONS, roles.sequencer)
    for rights, role in ((SEQUENCER, roles.sequencer), (ARCHIVER, roles.archiver)):
        for table, right in rights.items():
            yield _grant(right, table, role)
    yield sql.SQL(MAINTAIN).format(**names)
    for function, user in FUNCTIONS.items():
        yield sql.SQL(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC").format()
        if user:
            yield sql.SQL(f"GRANT EXECUTE ON FUNCTION {function} TO {{role}}").format(role=names[user])


def _grant(right: str, table: str, role: str) -> sql.Composed:
    grant = sql.SQL(f"GRANT {right} ON {{table}} TO {{role}}")
    return grant.format(table=sql.Identifier(table), role=sql.Identifier(role))


def _tables() -> dict[str, bool]:
    """Return the tables of all models, and whether each is one of the log."""
    models = apps.get_models(include_auto_created=True)
    return {model._meta.db_table: model._meta.app_label == "audit" for model in models if model._meta.managed}
