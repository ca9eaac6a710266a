"""What `./dev manage doctor` finds, what it says to do, and that it changes nothing."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection

from accounts.models import Notice
from audit.models import Checkpoint, LogKey, WitnessFailure
from audit.sequencing.sequencer import sequence
from audit.signing import anchors
from core import clock
from core.task_runs import record_run
from server.doctor import configuration, database, examination, keys, log, services
from server.doctor.findings import Finding, in_words, ok
from server.vitals import HEARTBEAT, Status
from tests import preloaded
from tests.audit.journals import write_body
from tests.shared import cases
from tests.world import make_agent, make_developer, make_grant, make_user
from tokens.keys import current_key
from tokens.models import AccessToken, SigningKey

OTHER_SECRET = "9d1c4b7e0a3f62589d1c4b7e0a3f6258"
OK, SKIPPED, WARNING, PROBLEM = Status.OK, Status.SKIPPED, Status.WARNING, Status.PROBLEM
Check = Callable[[], Iterator[Finding]]


def found_by(check: Check) -> tuple[Status, str]:
    """Return the status of the only finding, and what it says. All but good ones name a remedy."""
    (finding,) = check()
    assert finding.remedy or finding.status in (OK, SKIPPED)
    return finding.status, f"{finding.message} {finding.remedy}"


def status_of(check: Check) -> Status:
    return found_by(check)[0]


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run the command. Return its exit status and its output."""
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", *arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


@pytest.fixture
def logged(db: None, settings: Any, tmp_path: Path) -> Path:
    """Have a key and a log with an anchored checkpoint. Return the folder of the anchors."""
    settings.AUDIT_ANCHOR_DIR = tmp_path / "anchors"
    anchors._kept.clear()
    make_agent(make_developer("ada@example.com"))
    current_key()
    sequence()
    anchors.write(Checkpoint.objects.first().note)
    return tmp_path / "anchors"


class TestCommand:
    @pytest.mark.parametrize(
        ("findings", "status", "exit_status"),
        [
            (["ok", "skipped"], "ok", 0),
            (["ok", "warning"], "warning", 1),
            (["warning", "problem", "ok"], "problem", 2),
        ],
    )
    def test_the_worst_finding_decides(
        self, findings: list[str], status: str, exit_status: int, monkeypatch: Any, capsys: Any
    ) -> None:
        results = [examination.Result("x", Finding(Status(each), "It is so.", "Do this.")) for each in findings]
        monkeypatch.setattr("server.management.commands.doctor.examine", lambda: iter(results))

        code, printed = run("--json", capsys=capsys)
        assert code == exit_status
        assert json.loads(printed)["status"] == status
        code, printed = run(capsys=capsys)
        assert code == exit_status
        assert f"{findings[0]:<9}x            It is so. Do this.\n" in printed

    def test_each_check_is_reported_and_nothing_is_written(self, logged: Path, settings: Any, capsys: Any) -> None:
        before = {path: path.read_bytes() for path in logged.iterdir()}
        rows = SigningKey.objects.count(), Checkpoint.objects.count()

        _, printed = run("--json", capsys=capsys)

        named = {each["check"] for each in json.loads(printed)["checks"]}
        groups = (examination.CONFIGURATION, examination.DATABASE, examination.IN_THE_DATABASE)
        assert named == {name for group in (*groups, examination.BESIDE_THE_DATABASE) for name in group}
        assert "could not be checked" not in printed
        assert {path: path.read_bytes() for path in logged.iterdir()} == before
        assert (SigningKey.objects.count(), Checkpoint.objects.count()) == rows
        assert not any(secret in printed for secret in (settings.JWT_SECRET, settings.SECRET_KEY))

    @pytest.mark.django_db(transaction=True)
    def test_a_check_cannot_write_and_its_error_is_a_problem(self, monkeypatch: Any) -> None:
        def write() -> Iterator[Finding]:
            LogKey.objects.create(secret_id="x", origin="x", public=b"", private_sealed=b"", created_at=clock.now())
            yield ok("It was written.")

        monkeypatch.setattr(examination, "IN_THE_DATABASE", {"writer": write})
        (found,) = [finding for check, finding in examination.examine() if check == "writer"]

        assert found.status is PROBLEM
        assert "could not be checked" in found.message
        assert not LogKey.objects.filter(secret_id="x").exists()
        list(write())  # afterwards, the connection may write again

    @pytest.mark.on_sqlite
    @pytest.mark.django_db(transaction=True)
    def test_the_settings_are_fit_in_a_new_process(self) -> None:
        """Django's checks ask for what it has found out about the database, which a new process has yet to do."""
        vars(connection.features).pop("supports_json_field", None)
        found = [finding for check, finding in examination.examine() if check == "settings"]
        assert [finding.status for finding in found] == [OK], found

    def test_without_a_database_the_other_checks_run(self, monkeypatch: Any, db: None) -> None:
        monkeypatch.setattr(database, "missing_file", lambda: "/no/such.db")
        found = {check: finding.status for check, finding in examination.examine()}

        assert found["database"] is PROBLEM
        assert {found[name] for name in examination.IN_THE_DATABASE} == {SKIPPED}
        assert found["secrets"] is OK

    def test_a_database_that_is_not_migrated_is_not_read(self, monkeypatch: Any, db: None) -> None:
        executor = database.MigrationExecutor
        monkeypatch.setattr(executor, "migration_plan", lambda self, nodes: [("a migration", False)])
        found = dict(examination.examine())

        assert found["migrations"].message == "The database lacks 1 migration."
        assert {found[name].status for name in examination.IN_THE_DATABASE} == {SKIPPED}


@pytest.mark.parametrize(
    ("variables", "check", "says"),
    [({"JWT_SECRET": ""}, "settings", "JWT_SECRET is not set"), ({}, "database", "There is no database at ")],
)
def test_without_settings_or_a_database_the_doctor_says_so_and_creates_nothing(
    variables: dict[str, str], check: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "gate.db"
    environment = {**os.environ, "DATABASE_URL": "", "REDIS_URL": "", "DATABASE_PATH": str(path), **variables}
    ended = preloaded.run(["manage.py", "doctor", "--json"], environment)

    found = {each["check"]: each for each in json.loads(ended.stdout)["checks"]}
    assert ended.returncode == 2
    assert found[check]["status"] == "problem"
    assert says in found[check]["message"]
    assert not path.parent.exists()


class TestConfiguration:
    def test_unsafe_settings_are_named(self, settings: Any, db: None) -> None:
        assert status_of(configuration.check_settings) is OK
        settings.THROTTLE_VERIFY = "many"
        assert found_by(configuration.check_settings)[0] is PROBLEM
        settings.THROTTLE_VERIFY, settings.IS_HTTPS, settings.DEBUG = "1/minute", True, True
        assert "agentgate.E001" in "".join(finding.message for finding in configuration.check_settings())

    def test_silenced_checks_are_not_reported(self, settings: Any, db: None) -> None:
        settings.IS_HTTPS = True
        messages = "".join(finding.message for finding in configuration.check_settings())
        assert "oauth2_provider.W" not in messages

    def test_equal_weak_and_derived_secrets_are_named_and_not_shown(self, settings: Any) -> None:
        settings.METRICS_TOKEN = ""
        assert status_of(configuration.check_secrets) is OK
        settings.METRICS_TOKEN = settings.SECRET_KEY
        status, text = found_by(configuration.check_secrets)
        assert status is PROBLEM
        assert settings.SECRET_KEY not in text
        settings.METRICS_TOKEN = "09182736455463728190" + "1" * 12
        assert found_by(configuration.check_secrets)[1].startswith("METRICS_TOKEN has at most 106 bits.")
        settings.METRICS_TOKEN, settings.SECRET_KEY = "", f"django:{settings.JWT_SECRET}"
        assert status_of(configuration.check_secrets) is OK
        settings.IS_HTTPS = True
        assert status_of(configuration.check_secrets) is WARNING

    def test_a_proxy_on_this_host_needs_a_token(self, settings: Any) -> None:
        settings.METRICS_TOKEN = ""
        assert status_of(configuration.check_metrics) is SKIPPED
        settings.TRUSTED_PROXIES = (ip_network("127.0.0.0/8"),)
        assert status_of(configuration.check_metrics) is WARNING
        settings.METRICS_TOKEN = OTHER_SECRET
        assert status_of(configuration.check_metrics) is OK


@pytest.mark.postgresql
class TestDatabase:
    def test_a_usable_one(self, logged: Path) -> None:
        assert status_of(database.check_clock) is OK
        assert status_of(database.check_migrations) is OK
        assert status_of(database.check_schema) is OK
        assert status_of(database.check_triggers) is OK

    def test_commits_that_may_be_lost(self, db: None, store: str) -> None:
        if store == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL synchronous_commit = off")
            assert "synchronous_commit" in found_by(database.check_database)[1]
        else:
            assert status_of(database.check_database) is OK

    def test_a_clock_behind_the_log(self, logged: Path) -> None:
        with time_machine.travel(clock.now() - timedelta(minutes=3), tick=False):
            assert found_by(database.check_clock)[0] is PROBLEM

    def test_clocks_that_differ(self, db: None, store: str) -> None:
        if store == "postgresql":
            for ahead, status in ((3, WARNING), (60, PROBLEM)):
                with time_machine.travel(clock.now() + timedelta(seconds=ahead), tick=False):
                    assert status_of(database.check_clock) is status

    def test_a_newer_database(self, db: None) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('core', '9999_new', %s)", [clock.now()]
            )
        status, text = found_by(database.check_migrations)
        assert status is PROBLEM
        assert "core.9999_new" in text

    def test_the_owner_of_the_log(self, db: None, store: str) -> None:
        """tests/live/test_roles.py has the roles that own nothing."""
        assert status_of(database.check_roles) is (WARNING if store == "postgresql" else SKIPPED)


class TestKeys:
    def test_the_age_of_the_signing_key(self, db: None) -> None:
        assert status_of(keys.check_signing_key) is OK
        assert not SigningKey.objects.exists()
        current_key()
        assert "signed for 0 seconds" in found_by(keys.check_signing_key)[1]
        with time_machine.travel(clock.now() + timedelta(days=91), tick=False):
            assert "rotate_signing_keys" in found_by(keys.check_signing_key)[1]

    def test_keys_under_another_secret(self, logged: Path, settings: Any) -> None:
        assert {status_of(check) for check in (keys.check_signing_key, keys.check_log_key)} == {OK}
        settings.JWT_SECRET = OTHER_SECRET
        for check in (keys.check_signing_key, keys.check_log_key):
            status, text = found_by(check)
            assert status is PROBLEM
            assert "Set the former JWT_SECRET" in text

    def test_damaged_keys(self, logged: Path) -> None:
        SigningKey.objects.update(private_sealed=b"damaged")
        LogKey.objects.update(private_sealed=b"damaged")
        assert {status_of(check) for check in (keys.check_signing_key, keys.check_log_key)} == {PROBLEM}


class TestLog:
    def test_what_waits_for_the_sequencer(self, logged: Path) -> None:
        assert status_of(log.check_sequencer) is OK
        make_agent(make_developer("ben@example.com"))
        for seconds, status in ((0, OK), (10, WARNING), (120, PROBLEM)):
            with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=False):
                assert status_of(log.check_sequencer) is status

    def test_a_damaged_row_of_the_journal(self, logged: Path) -> None:
        assert status_of(log.check_journal) is OK
        write_body(b"damaged")
        status, text = found_by(log.check_journal)
        assert status is PROBLEM
        assert "audit_damaged" in text

    def test_a_witness_that_refuses_or_is_silent(self, logged: Path, settings: Any) -> None:
        assert status_of(log.check_witnesses) is SKIPPED
        settings.AUDIT_WITNESSES = ["https://w.example"]
        assert status_of(log.check_witnesses) is OK
        failure = WitnessFailure(witness="https://w.example", reason="HTTP status 422", since=clock.now())
        for failure.is_refusal, status in ((False, WARNING), (True, PROBLEM)):
            failure.save()
            found, text = found_by(log.check_witnesses)
            assert (found, "422" in text) == (status, True)

    def test_an_anchor_that_agrees(self, logged: Path) -> None:
        assert status_of(log.check_anchors) is OK

    def test_a_log_that_was_rolled_back(self, logged: Path, monkeypatch: Any) -> None:
        monkeypatch.setattr("audit.signing.checkpoints.latest", lambda: None)
        status, text = found_by(log.check_anchors)
        assert status is PROBLEM
        assert "rolled back" in text

    def test_a_log_that_was_rewritten(self, logged: Path) -> None:
        newest = Checkpoint.objects.first()
        from audit.signing.checkpoints import checkpoint_text
        from audit.signing.log_keys import signer

        other = signer().sign_note(checkpoint_text(signer().origin, newest.size, b"\1" * 32, clock.now()))
        (logged / "checkpoint").write_text(other)
        assert "differ about the root" in found_by(log.check_anchors)[1]

    def test_foreign_old_and_missing_anchors(self, logged: Path) -> None:
        path = logged / "checkpoint"
        os.utime(path, (1, 1))
        assert status_of(log.check_anchors) is WARNING
        path.write_text("something else")
        assert status_of(log.check_anchors) is PROBLEM
        path.unlink()
        assert status_of(log.check_anchors) is WARNING

    def test_without_a_log_no_anchor_is_expected(self, db: None, settings: Any, tmp_path: Path) -> None:
        settings.AUDIT_ANCHOR_DIR = tmp_path
        assert status_of(log.check_anchors) is SKIPPED


class TestServices:
    def test_the_workers_heartbeat(self, db: None) -> None:
        assert status_of(services.check_worker) is WARNING
        record_run(HEARTBEAT, started_at=clock.now(), seconds=0.1, result=None)
        assert status_of(services.check_worker) is OK
        record_run(HEARTBEAT, started_at=clock.now() - timedelta(minutes=2), seconds=0.1, result=None)
        assert status_of(services.check_worker) is PROBLEM

    def test_tasks_that_failed_or_are_late(self, db: None) -> None:
        record_run("tokens.tasks.sweep_tokens", started_at=clock.now() - timedelta(hours=1), seconds=0.1, result=3)
        assert found_by(services.check_sweeps)[0] is WARNING
        record_run("a.former.task", started_at=clock.now(), seconds=0.1, result=None, error="OperationalError")
        assert found_by(services.check_sweeps)[0] is WARNING
        failed = "consent.tasks.sweep_consents"
        record_run(failed, started_at=clock.now(), seconds=0.1, result=None, error="OperationalError")
        assert [finding.status for finding in services.check_sweeps()] == [PROBLEM, WARNING]

    def test_expired_rows_that_no_sweep_deletes(self, db: None) -> None:
        make_grant()
        assert status_of(services.check_sweeps) is OK
        AccessToken.objects.update(expires=clock.now() - timedelta(days=2))
        assert "1 access tokens" in found_by(services.check_sweeps)[1]

    def test_the_mail_server(self, db: None, settings: Any) -> None:
        settings.MAILERS = {"default": {"BACKEND": "accounts.console_mail.EmailBackend", "OPTIONS": {}}}
        assert status_of(services.check_mail) is SKIPPED
        settings.IS_HTTPS = True
        assert status_of(services.check_mail) is WARNING
        options = {"host": "127.0.0.1", "port": 1, "timeout": 1}
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
        assert "ConnectionRefusedError" in found_by(services.check_mail)[1]
        due_at = clock.now() - timedelta(hours=1)
        Notice.objects.create(user=make_user("ada@example.com"), name="x", facts={}, created_at=due_at, due_at=due_at)
        late, refused = services.check_mail()
        assert "1 mail to users waited" in late.message
        assert "ConnectionRefusedError" in refused.message

    def test_redis(self, settings: Any) -> None:
        assert status_of(services.check_cache) is (OK if settings.REDIS_URL else SKIPPED)
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        assert status_of(services.check_cache) is WARNING


class TestStorage:
    @cases(("free", "status"), [(90, OK), (15, WARNING), (2, PROBLEM)])
    def test_free_space(self, free: int, status: Status, monkeypatch: Any) -> None:
        usage = services.shutil._ntuple_diskusage(100, 100 - free, free)
        monkeypatch.setattr(services.shutil, "disk_usage", lambda folder: usage)
        assert {finding.status for finding in services.check_disk()} == {status}


def test_durations_in_words() -> None:
    assert [in_words(timedelta(seconds=each)) for each in (0, 1, 60, 7199, 90_000, 200_000)] == [
        "0 seconds",
        "1 second",
        "1 minute",
        "1 hour",
        "1 day",
        "2 days",
    ]
