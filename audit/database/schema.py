"""The tables that Django's migrations cannot describe: partitions on PostgreSQL, tables by key on SQLite."""

from collections.abc import Sequence

# Functions that run as the owner of the tables look for them in one schema only. Otherwise their callers could put
# temporary tables in their way.
PIN = """
    DO $$
    BEGIN
        EXECUTE format('ALTER FUNCTION {0} SET search_path = %I, pg_temp', current_schema());
        REVOKE EXECUTE ON FUNCTION {0} FROM PUBLIC;
    END $$
"""
ADD_MONTH = """
    CREATE FUNCTION audit_add_month(month integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE
        partition text := format('audit_entry_%s', month);
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('audit_add_month'));
        IF to_regclass(partition) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE audit_entry INCLUDING ALL)', partition);
            EXECUTE format('ALTER TABLE audit_entry ATTACH PARTITION %I FOR VALUES IN (%s)', partition, month);
            PERFORM audit_protect(partition::regclass);
        END IF;
    END $$
"""
# Counting locks nothing. Only the last statements keep readers and the sequencer waiting.
DROP_MONTH = """
    CREATE FUNCTION audit_drop_month(dropped integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE
        partition text := format('audit_entry_%s', dropped);
        archived record;
        held record;
    BEGIN
        SELECT * INTO archived FROM audit_archive WHERE month = dropped FOR UPDATE;
        IF NOT FOUND OR archived.state NOT IN ('verified', 'pruned') THEN
            RAISE EXCEPTION 'the archive of % is not verified', dropped;
        END IF;
        IF to_regclass(partition) IS NOT NULL THEN
            SELECT count(*) AS entries, min(leaf_index) AS first, max(leaf_index) AS last INTO held
            FROM audit_entry WHERE month = dropped;
            IF (held.first, held.last, held.entries)
                IS DISTINCT FROM (archived.first, archived.last, archived.last - archived.first + 1) THEN
                RAISE EXCEPTION 'the archive of % does not cover its entries', dropped;
            END IF;
            IF held.entries IS DISTINCT FROM
                (SELECT sum(last - first + 1) FROM audit_archivedobject WHERE month = dropped) THEN
                RAISE EXCEPTION 'the archive of % lacks objects', dropped;
            END IF;
            IF NOT EXISTS (SELECT FROM audit_entry WHERE month > dropped) THEN
                RAISE EXCEPTION '% is the newest month', dropped;
            END IF;
            IF NOT EXISTS (SELECT FROM audit_checkpoint WHERE size > held.last) THEN
                RAISE EXCEPTION 'no checkpoint covers %', dropped;
            END IF;
            EXECUTE format('DROP TABLE %I', partition);
        END IF;
        UPDATE audit_archive SET state = 'pruned' WHERE month = dropped;
    END $$
"""

POSTGRESQL = (
    # The order of the columns leaves no gaps between them. Each month has a partition, which the archive can drop.
    """
    CREATE TABLE audit_entry (
        leaf_index bigint NOT NULL,
        timestamp timestamptz NOT NULL,
        month integer NOT NULL,
        id uuid NOT NULL,
        event text NOT NULL COLLATE "C",
        outcome text NOT NULL COLLATE "C",
        user_id text COLLATE "C",
        agent_id text COLLATE "C",
        consent_id text COLLATE "C",
        organizations text NOT NULL COLLATE "C",
        record bytea NOT NULL,
        opening bytea NOT NULL,
        sealed bytea,
        PRIMARY KEY (leaf_index, month),
        UNIQUE (id, month)
    ) PARTITION BY LIST (month)
    """,
    "CREATE TABLE audit_posting (term bigint, segment integer, entries bytea NOT NULL, PRIMARY KEY (term, segment))",
    # Rows stay for less than a second, so compressing them would cost the decisions more than it saves.
    "ALTER TABLE audit_journal ALTER COLUMN body SET STORAGE EXTERNAL",
    # Hashes do not compress.
    "ALTER TABLE audit_tile ALTER COLUMN hashes SET STORAGE EXTERNAL",
    # Updates find room on the row's own page, so they change no index.
    "ALTER TABLE audit_stream SET (fillfactor = 70)",
    ADD_MONTH,
    PIN.format("audit_add_month(integer)"),
    DROP_MONTH,
    PIN.format("audit_drop_month(integer)"),
)
SQLITE = (
    """
    CREATE TABLE audit_entry (
        leaf_index integer NOT NULL PRIMARY KEY,
        timestamp datetime NOT NULL,
        month integer NOT NULL,
        id blob NOT NULL UNIQUE,
        event varchar(64) NOT NULL,
        outcome varchar(8) NOT NULL,
        user_id varchar(64),
        agent_id varchar(64),
        consent_id varchar(64),
        organizations text NOT NULL,
        record blob NOT NULL,
        opening blob NOT NULL,
        sealed blob
    )
    """,
    # Django's introspection fails at a space after the statement, and SQLite keeps it with the table.
    """
    CREATE TABLE audit_posting (
        term bigint NOT NULL, segment integer NOT NULL, entries blob NOT NULL, PRIMARY KEY (term, segment)
    ) WITHOUT ROWID""",
)


def create_statements(vendor: str) -> Sequence[str]:
    return POSTGRESQL if vendor == "postgresql" else SQLITE


def drop_statements(vendor: str) -> Sequence[str]:
    statements = ["DROP TABLE audit_entry", "DROP TABLE audit_posting"]
    if vendor == "postgresql":
        statements += ["DROP FUNCTION audit_add_month", "DROP FUNCTION audit_drop_month"]
    return statements
