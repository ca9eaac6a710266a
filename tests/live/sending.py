"""The worker under test, what writes events for it, and what receives them. Each is a process that can be killed."""

import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests import preloaded
from tests.live.server import ROOT, Database, full, manage
from tests.servers import die_with_parent, free_port
from tests.waiting import wait_until

MAKE = """
from core import clock
from core.crypto import seal
from developers.models import Organization
from events.models import Webhook
from events.selectors import SEAL
for name, urls in {webhooks!r}.items():
    organization = Organization.objects.create(name=name)
    for url in urls:
        Webhook.objects.create(organization=organization, url=url, types=["agent.updated"],
            secret_sealed=seal(SEAL, b"k" * 32), created_at=clock.now())
    print(organization.pk)
"""
WRITE = """
import time
from django.db import DatabaseError, transaction
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import append
from core.actor import SYSTEM
from core.locks import Busy, write_transaction
draft = Draft(event=Event.AGENT_UPDATED, actor=SYSTEM, organization_id={organization!r})
with open({path!r}, "a") as file:
    began, written = time.monotonic(), 0
    while written < {number}:
        try:
            with write_transaction():
                (entry_id,) = append([draft])
        except (Busy, DatabaseError):
            time.sleep(0.1)
            continue
        written += 1
        file.write(f"{{time.time()}} {{entry_id}}\\n")
        file.flush()
        time.sleep(max(0.0, began + written / {rate} - time.monotonic()))
"""


def make_webhooks(database: Database, webhooks: dict[str, list[str]]) -> list[str]:
    """Make organizations, each with webhooks to these URLs. Return their ids."""
    return manage(database.environment, "shell", "-v", "0", "-c", MAKE.format(webhooks=webhooks)).split()


def write_events(database: Database, folder: Path, organization: str, number: int, rate: float) -> preloaded.Program:
    """Start to log this number of events at this rate per second. Each has a line in the file `written`."""
    code = WRITE.format(organization=organization, path=str(folder / "written"), number=number, rate=rate)
    with (folder / "writer.log").open("ab") as log:
        return preloaded.start(["manage.py", "shell", "-v", "0", "-c", code], full(database.environment), log, log)


def written(folder: Path) -> dict[str, float]:
    """Return when each event was logged, by its id."""
    lines = (folder / "written").read_text().splitlines() if (folder / "written").exists() else []
    return {entry_id: float(at) for at, entry_id in (line.split() for line in lines)}


@dataclass
class ReceiverProcess:
    """A receiver that can be killed. What it has accepted is in a file."""

    path: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.events.receivers", str(self.port), str(self.path)]
        self.process = subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(10)

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def arrivals(self) -> dict[str, list[float]]:
        """Return when each event arrived, by the header `webhook-id`."""
        found: dict[str, list[float]] = defaultdict(list)
        for at, header, _, _ in self.lines():
            found[header].append(float(at))
        return found


class WorkerProcess:
    """`./dev worker`: a process with two children, one of which sends events."""

    def __init__(self, database: Database, folder: Path, **environment: str) -> None:
        given = {"WEBHOOK_ALLOW_LOOPBACK": "true", "API_URL": "http://localhost:8000", **environment}
        self.environment = {**database.environment, "HEARTBEAT_PATH": str(folder / "heartbeat"), **given}
        self.log = folder / "worker.log"
        self.process: preloaded.Program | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = preloaded.start(
                ["-m", "server.worker", "--concurrency", "2"], full(self.environment), log, log
            )
        wait_until(lambda: {"events", "celery"} <= self.children().keys(), self.log.read_text, 60)

    def children(self) -> dict[str, psutil.Process]:
        """Return the processes that consume the two queues, by their queues."""
        found = {}
        with suppress(psutil.NoSuchProcess):
            assert self.process
            for child in psutil.Process(self.process.pid).children():
                with suppress(psutil.NoSuchProcess):
                    line = " ".join(child.cmdline())
                    found |= {queue: child for queue in ("events", "celery") if f"--queues {queue}" in line}
        return found

    def family(self) -> list[psutil.Process]:
        assert self.process
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def kill(self, queue: str = "") -> None:
        """Kill the process of a queue, or the one that supervises both."""
        assert self.process
        if queue:
            with suppress(KeyError, psutil.NoSuchProcess):
                self.children()[queue].kill()
        else:
            self.process.kill()
            self.process.wait(10)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


@contextmanager
def working(database: Database, folder: Path, **environment: str) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(database, folder, **environment)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def wait_for_all(folder: Path, receiver: ReceiverProcess, number: int, seconds: float, explain: Any) -> None:
    deadline = time.monotonic() + seconds
    while True:
        ids, found = written(folder), receiver.arrivals()
        if len(ids) == number and ids.keys() <= found.keys():
            return
        assert time.monotonic() < deadline, f"{len(ids)} written, {len(found)} received\n{explain()[-3000:]}"
        time.sleep(1)
