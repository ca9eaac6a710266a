"""The tables that Django's migrations cannot describe: partitions on PostgreSQL, tables by key on SQLite."""

from collections.abc import Sequence

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
    """
    CREATE FUNCTION audit_add_month(month integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
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
    """,
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
    """
    CREATE TABLE audit_posting (
        term bigint NOT NULL, segment integer NOT NULL, entries blob NOT NULL, PRIMARY KEY (term, segment)
    ) WITHOUT ROWID
    """,
)


def create_statements(vendor: str) -> Sequence[str]:
    return POSTGRESQL if vendor == "postgresql" else SQLITE


def drop_statements(vendor: str) -> Sequence[str]:
    statements = ["DROP TABLE audit_entry", "DROP TABLE audit_posting"]
    return [*statements, "DROP FUNCTION audit_add_month"] if vendor == "postgresql" else statements
