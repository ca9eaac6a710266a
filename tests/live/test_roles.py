"""The PostgreSQL roles that `audit_roles` prints: the product works with them, and none of them can change the log."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import errors

from audit.database.roles import Roles
from tests import preloaded
from tests.constants import PASSWORD
from tests.environment import Servers
from tests.live.gate import Gate, expect
from tests.live.server import ROOT, Database, LiveServer, full, manage
from tests.servers import Postgres
from tests.waiting import wait_until

ROLES = Roles(*(f"{name}_{os.getpid()}" for name in Roles()))
ROLES_PASSWORD = "roles-of-the-tests"
FILL = """
import django; django.setup()
from audit.sequencing import sequencer
from tests.audit.months import fill
sequencer.SAVE_SECONDS = 0.0
fill({202601: 4000, 202602: 200})
"""


@dataclass
class Cluster:
    """A migrated database whose log has two months, with a URL for each role."""

    superuser: str

    def url(self, role: str) -> str:
        parts = urlsplit(self.superuser)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}:{ROLES_PASSWORD}@{host}"))

    def run(self, role: str, *statements: str) -> list[tuple[Any, ...]]:
        """Execute the statements as this role, and return the rows of the last."""
        with psycopg.connect(self.url(role)) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "DATABASE_URL": self.url(ROLES.application),
            "AUDIT_SEQUENCER_DATABASE_URL": self.url(ROLES.sequencer),
            "AUDIT_ARCHIVER_DATABASE_URL": self.url(ROLES.archiver),
            "REDIS_URL": "",
            **more,
        }


@pytest.fixture(scope="module")
def cluster(servers: Servers) -> Iterator[Cluster]:
    postgres = servers.postgres
    found = Cluster(postgres.create_database())
    found.rows(f"CREATE ROLE {ROLES.owner} LOGIN PASSWORD '{ROLES_PASSWORD}'")
    found.rows(f'ALTER DATABASE "{urlsplit(found.superuser).path[1:]}" OWNER TO {ROLES.owner}')
    owner = {"DATABASE_URL": found.url(ROLES.owner), "REDIS_URL": ""}
    manage(owner, "migrate", "--verbosity", "0")
    subprocess.run([sys.executable, "-c", FILL], cwd=ROOT, env=settings_of(owner), check=True)
    apply_roles(found)
    yield found
    drop(found, postgres)


def settings_of(environment: dict[str, str]) -> dict[str, str]:
    return full({**environment, "DJANGO_SETTINGS_MODULE": "agentgate.settings"})


def apply_roles(cluster: Cluster) -> None:
    names = [f"--{field}={name}" for field, name in ROLES._asdict().items()]
    cluster.rows(manage({"DATABASE_URL": cluster.superuser}, "audit_roles", *names))
    for role in ROLES:
        cluster.rows(f"ALTER ROLE {role} PASSWORD '{ROLES_PASSWORD}'")


def drop(cluster: Cluster, postgres: Postgres) -> None:
    postgres.drop_database(cluster.superuser)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f"DROP ROLE {role}".encode())


LOG = ("audit_entry", "audit_entry_202602", "audit_tile", "audit_checkpoint")
ON_EACH = (
    "UPDATE {0} SET {1} = {1}",
    "DELETE FROM {0}",
    "TRUNCATE {0}",
    "DROP TABLE {0}",
    "ALTER TABLE {0} DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_insert_only ON {0}",
    "CREATE TRIGGER mine BEFORE INSERT ON {0} FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()",
)
COLUMNS = {"audit_tile": "root", "audit_checkpoint": "note"}
BY_ALL = [
    *(statement.format(table, COLUMNS.get(table, "record")) for table in LOG for statement in ON_EACH),
    "ALTER TABLE audit_entry DETACH PARTITION audit_entry_202602",
    "INSERT INTO audit_entry_202602 SELECT * FROM audit_entry LIMIT 1",
    "CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "SELECT audit_protect('audit_entry')",
    "CREATE TABLE mine (id int)",
    "UPDATE audit_journal SET body = body",
    "TRUNCATE audit_journal",
    "DELETE FROM audit_personalkey",
    "SET ROLE owner",
    "SET session_replication_role = replica",
]
FORGED = "INSERT INTO {0} SELECT * FROM {0} LIMIT 1"
BY_APPLICATION = [
    *(FORGED.format(f"audit_{name}") for name in ("entry", "tile", "checkpoint", "segment", "posting", "stream")),
    *(FORGED.format(f"audit_{name}") for name in ("cosignature", "archive", "archivedobject", "progress")),
    "DELETE FROM audit_journal",
    "UPDATE audit_stream SET number = 0",
    "UPDATE audit_logkey SET public = public",
    "DELETE FROM audit_posting",
    "SELECT audit_add_month(209901)",
    "SELECT audit_drop_month(202601)",
    "UPDATE django_migrations SET name = name",
]
BY_SEQUENCER = [
    "INSERT INTO audit_journal (body) VALUES ('x')",
    "UPDATE audit_personalkey SET sealed = NULL",
    "INSERT INTO audit_archive SELECT * FROM audit_archive",
    "SELECT audit_drop_month(202601)",
    "SELECT * FROM accounts_user",
    "SELECT * FROM tokens_signingkey",
]
BY_ARCHIVER = [
    FORGED.format("audit_entry"),
    "DELETE FROM audit_archive",
    "DELETE FROM audit_journal",
    "SELECT audit_add_month(209901)",
    "SELECT * FROM accounts_user",
    "SELECT * FROM audit_personalkey",
]


def permitted(cluster: Cluster, role: str, statements: Iterable[str]) -> list[str]:
    """Return the statements that this role can execute."""
    found = []
    with psycopg.connect(cluster.url(role)) as connection:
        for statement in statements:
            try:
                connection.execute(statement.replace("ROLE owner", f"ROLE {ROLES.owner}").encode())
            except errors.InsufficientPrivilege:
                pass
            else:
                found.append(statement)
            connection.rollback()
    return found


class TestAttacks:
    # The names of roles differ by process, so they must not be part of the names of tests.
    @pytest.mark.parametrize("role", ["application", "sequencer", "archiver"])
    def test_no_role_can_change_the_log(self, role: str, cluster: Cluster) -> None:
        assert permitted(cluster, getattr(ROLES, role), BY_ALL) == []

    def test_each_role_has_no_more_rights_than_it_needs(self, cluster: Cluster) -> None:
        assert permitted(cluster, ROLES.application, BY_APPLICATION) == []
        assert permitted(cluster, ROLES.sequencer, BY_SEQUENCER) == []
        assert permitted(cluster, ROLES.archiver, BY_ARCHIVER) == []

    def test_the_application_cannot_pose_as_the_sequencer(self, cluster: Cluster) -> None:
        pose = "SELECT set_config('audit.sequencing', 'on', true)"
        with pytest.raises(errors.InsufficientPrivilege):
            cluster.run(ROLES.application, pose, "DELETE FROM audit_journal")

    def test_the_archiver_cannot_drop_a_month_that_is_not_verified(self, cluster: Cluster) -> None:
        with pytest.raises(errors.RaiseException, match="not verified"):
            cluster.run(ROLES.archiver, "SELECT audit_drop_month(202602)")

    def test_nor_by_a_temporary_table_in_place_of_the_record(self, cluster: Cluster) -> None:
        values = "202602, 4000, 4199, 4200, 'verified', '', now()"
        with pytest.raises(errors.RaiseException, match="not verified"):
            cluster.run(
                ROLES.archiver,
                "CREATE TEMPORARY TABLE audit_archive (LIKE public.audit_archive)",
                "GRANT ALL ON audit_archive TO PUBLIC",
                "INSERT INTO audit_archive (month, first, last, checkpoint, state, manifest, updated_at)"
                f" VALUES ({values})",
                "SELECT audit_drop_month(202602)",
            )

    def test_the_triggers_stop_even_the_owner(self, cluster: Cluster) -> None:
        for table in ("audit_entry", "audit_entry_202602"):
            with pytest.raises(errors.RaiseException, match="insert-only"):
                cluster.run(ROLES.owner, f"DELETE FROM {table}")


@pytest.fixture(scope="module")
def server(cluster: Cluster, servers: Servers) -> Iterator[LiveServer]:
    database = Database(cluster.environment(AUDIT_ARCHIVE_DIR=str(servers.folder / "roles-archive")))
    with LiveServer(database, servers.folder, processes=1) as running:
        yield running
    assert "permission denied" not in running.log_text()
    assert "Internal Server Error" not in running.log_text()


class TestProduct:
    def test_the_application_decides_and_the_sequencer_logs(self, server: LiveServer, cluster: Cluster) -> None:
        gate = Gate(server.url)
        developer, person = gate.developer(), gate.person()
        tokens = gate.tokens(gate.agent(developer), person)
        assert gate.verify(tokens["accessToken"])["allowed"]
        expect(200, gate.post(f"/users/me/consents/{tokens['consentId']}/revoke", **person.headers))
        assert not gate.verify(tokens["accessToken"])["allowed"]

        wait_until(lambda: cluster.rows("SELECT count(*) FROM audit_journal") == [(0,)], seconds=10)
        assert [one["event"] for one in gate.entries(developer)][:2] == ["token.verify", "consent.revoked"]
        users = {user for (user,) in cluster.rows("SELECT DISTINCT usename FROM pg_stat_activity")}
        assert {ROLES.application, ROLES.sequencer} <= users

    def test_a_person_exports_their_log_and_is_erased(self, server: LiveServer, cluster: Cluster) -> None:
        gate = Gate(server.url)
        person = gate.person()
        export = gate.get("/users/me/audit-export", **person.headers)
        assert export.status_code == 200
        assert "audit.exported" in export.text

        manage(server.environment, "erase_person", person.id, "--yes")
        keys = f"SELECT count(*) FROM audit_personalkey WHERE subject = '{person.id}' AND sealed IS NULL"
        assert cluster.rows(keys) == [(1,)]
        assert gate.post("/users/login", {"email": person.email, "password": PASSWORD}).status_code == 401

    def test_the_owner_migrates_and_the_rights_can_be_given_again(self, cluster: Cluster) -> None:
        manage({"DATABASE_URL": cluster.url(ROLES.owner)}, "migrate", "--verbosity", "0")
        apply_roles(cluster)
        assert cluster.run(ROLES.application, "SELECT count(*) FROM audit_entry")

    def test_the_check_warns_only_about_the_owner(self, cluster: Cluster) -> None:
        def warns(role: str) -> bool:
            environment = settings_of({"DATABASE_URL": cluster.url(role), "API_URL": "https://gate.example.com"})
            return (
                "audit.W001"
                in preloaded.run(["manage.py", "check", "--deploy", "--tag", "security"], environment).stderr
            )

        assert warns(ROLES.owner)
        assert not warns(ROLES.application)

    def test_the_doctor_reads_all_as_the_application(self, cluster: Cluster) -> None:
        environment = settings_of({"DATABASE_URL": cluster.url(ROLES.application)})
        done = preloaded.run(["manage.py", "doctor", "--json"], environment)
        found = {each["check"]: each["status"] for each in json.loads(done.stdout)["checks"]}

        assert "could not be checked" not in done.stdout
        assert (found["roles"], found["triggers"]) == ("ok", "ok")

    def test_the_archiver_archives_and_the_application_reads(
        self, server: LiveServer, cluster: Cluster, tmp_path: Path
    ) -> None:
        before = cluster.rows("SELECT count(*) FROM audit_entry")[0][0]
        output = manage(server.environment, "audit_archive", "--month", "202601")
        assert "202601: pruned" in output
        assert cluster.rows("SELECT count(*) FROM audit_entry") == [(before - 4000,)]
        assert "entries 0 to 3999 are intact" in manage(server.environment, "audit_archive", "--verify")
        script = "from audit.archiving.archived import entries_at; print(len(entries_at(range(4200))))"
        assert manage(server.environment, "shell", "-v", "0", "-c", script).strip() == "4200"
