"""The worker runs the tasks that are sent to it without Valkey. `test_containers.py` runs it with Valkey."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import production
from tests.environment import Servers
from tests.live.conftest import new_database
from tests.live.server import ROOT, Database, Databases, full, manage
from tests.servers import die_with_parent
from tests.waiting import wait_until

SWEEP = "from consent.tasks import sweep_consents; sweep_consents.delay()"
CREATE_EXPIRED_CONSENT = """
from datetime import timedelta
from django.utils import timezone
from tests.world import ask, make_agent, make_developer
consent = ask(make_agent(make_developer("dev@example.com", "Acme")))
type(consent).objects.update(expires_at=timezone.now() - timedelta(seconds=1))
"""


@pytest.fixture
def database(live_store: str, databases: Databases, servers: Servers) -> Database:
    return new_database(live_store, databases, servers)


@pytest.fixture
def worker(database: Database, tmp_path: Path) -> Iterator[Path]:
    """Run a worker and yield its log."""
    log = tmp_path / "worker.log"
    command = [production.python(), "-m", "server.worker"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=full(database.environment), stdout=output, stderr=output, preexec_fn=die_with_parent
        )
    yield log
    process.terminate()
    process.wait(30)


@pytest.mark.soak
@pytest.mark.parametrize("live_store", ["sqlite"], indirect=True)
def test_the_worker_runs_a_sweep_without_valkey(database: Database, worker: Path) -> None:
    manage(database.environment, "shell", "-c", CREATE_EXPIRED_CONSENT)
    logged = database.count("audit_journal")
    manage(database.environment, "shell", "-c", SWEEP)
    wait_until(lambda: database.count("consent_consent", "status = 'expired'") == 1, worker.read_text, 30)
    assert database.count("audit_journal") == logged + 1
