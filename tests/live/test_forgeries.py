"""Whatever the owner of the database forges, the offline verifier or `audit_verify` names it.

The forger writes past the triggers and lets the server sign again with the log's own key. What a reader, a service or
a witness kept outside gives the forgery away.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import preloaded
from tests.environment import Servers
from tests.live.conftest import new_database
from tests.live.forger import TILE, Forger
from tests.live.gate import Agent, Developer, Gate, Json, Person, expect
from tests.live.outside import SOURCES, audit, download
from tests.live.server import Database, Databases, LiveServer, full
from tests.servers import die_with_parent, free_port
from tests.waiting import wait_until

PRINT_KEY = "from audit.signing.log_keys import signer; print(signer().verifier_key)"
SPEND = {"amount": {"currency": "EUR", "value": "10.00"}}
Forge = Callable[[Forger, list[int]], object]


@dataclass
class Connected:
    """A person with a connection."""

    person: Person
    token: str
    consent_id: str


class Scene:
    """A running log, the tools of its readers, and what they kept of it."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.gate = Gate(server.url)
        self.developer: Developer = self.gate.developer()
        self.agent: Agent = self.gate.agent(self.developer)
        self.early: list[Connected] = []
        self._files = 0

    def connect(self, decisions: int = 0) -> Connected:
        person = self.gate.person()
        tokens = self.gate.tokens(self.agent, person)
        found = Connected(person, tokens["accessToken"], tokens["consentId"])
        for _ in range(decisions):
            self.decide(found)
        return found

    def decide(self, connected: Connected, **more: object) -> Json:
        decision = self.gate.verify(connected.token, **more)
        assert decision["allowed"] is True
        return decision

    def revoke(self, connected: Connected) -> None:
        path = f"/users/me/consents/{connected.consent_id}/revoke"
        expect(200, self.gate.post(path, **connected.person.headers))

    def file(self, content: str = "") -> Path:
        self._files += 1
        path = self.folder / f"file-{self._files}"
        path.write_text(content)
        return path

    def keep_checkpoint(self) -> Path:
        """Return a file with the newest checkpoint. It covers everything so far."""
        size = self.server.database.count_entries()
        wait_until(lambda: int(self._checkpoint().split("\n")[1]) >= size, seconds=20)
        return self.file(self._checkpoint())

    def _checkpoint(self) -> str:
        return self.gate.get("/audit/checkpoint").text

    def history(self, connected: Connected) -> Path:
        return download(self.server, "/users/me/audit-export", self.file(), connected.person.headers)

    def evidence(self, connected: Connected) -> Path:
        path = f"/users/me/consents/{connected.consent_id}/evidence"
        return download(self.server, path, self.file(), connected.person.headers)

    def verify(self, file: Path, *options: str | Path) -> tuple[int, str]:
        return audit("verify", file, "--key", self.key, *options)

    def verify_since(self, file: Path, earlier: Path) -> tuple[int, str]:
        return self.verify(file, "--consistent-with", earlier, "--log", f"{self.server.url}/api/v1/audit")

    def audit_verify(self, earlier: Path) -> tuple[int, str]:
        command = ["manage.py", "audit_verify", "--checkpoint", str(earlier)]
        done = preloaded.run(command, full(self.server.environment))
        return done.returncode, done.stdout + done.stderr

    @property
    def key(self) -> Path:
        path = self.folder / "key"
        return path if path.exists() else download(self.server, "/audit/key", path, {})


@dataclass
class Witness:
    url: str
    key: str


@pytest.fixture(scope="module")
def folder(servers: Servers, live_store: str) -> Path:
    folder = servers.folder / f"forgeries-{live_store}"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def database(live_store: str, databases: Databases, servers: Servers) -> Database:
    return new_database(live_store, databases, servers)


@pytest.fixture(scope="module")
def unstarted(database: Database, folder: Path) -> LiveServer:
    return LiveServer(database, folder, processes=1)


@pytest.fixture(scope="module")
def witness(unstarted: LiveServer, folder: Path) -> Iterator[Witness]:
    """Run a witness, which knows the log's key before the server starts."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "agentgate_audit", "witness", "--listen", address, "--name", "witness.example/w1"]
    command += [
        "--state",
        str(folder / "state.json"),
        "--log",
        unstarted.manage("shell", "-v0", "-c", PRINT_KEY).strip(),
    ]
    output = folder / "witness.log"
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    with output.open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, preexec_fn=die_with_parent)
    wait_until(lambda: "listening on" in output.read_text(), output.read_text, 30)
    key = next(word for word in output.read_text().split() if word.startswith("witness.example/w1+"))
    yield Witness(f"http://{address}", key)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def scene(unstarted: LiveServer, witness: Witness, folder: Path) -> Iterator[Scene]:
    """Run the server. The log's first tile is complete."""
    unstarted.environment["AUDIT_WITNESSES"] = f"{witness.url}#{witness.key}"
    with unstarted as server:
        scene = Scene(server, folder)
        scene.early = [scene.connect(3) for _ in range(4)]
        others = scene.connect()
        while server.database.count_entries() < TILE:
            for _ in range(20):
                scene.decide(others)
        yield scene


@pytest.fixture(scope="module")
def forger(scene: Scene) -> Forger:
    return Forger(scene.server)


@pytest.fixture(scope="module")
def earlier(scene: Scene) -> Path:
    """A checkpoint that covers the first tile."""
    return scene.keep_checkpoint()


def test_the_log_as_it_is_holds(scene: Scene, witness: Witness, earlier: Path) -> None:
    assert scene.verify_since(scene.history(scene.early[0]), earlier)[0] == 0
    assert scene.verify(scene.evidence(scene.early[0]), "--witness", witness.key)[0] == 0
    assert scene.audit_verify(earlier)[0] == 0


# What changes in the database alone


IN_EXPORT: dict[str, tuple[Forge, int, str]] = {
    "a changed record": (lambda f, at: f.rewrite_record(at[2], b'"allowed"', b'"allower"'), 2, "outcome"),
    "a changed fact": (
        lambda f, at: f.rewrite_record(at[2], b'"agentId":"agt_', b'"agentId":"agt-'),
        2,
        "not in the log",
    ),
    "a flipped byte of an opening": (lambda f, at: f.flip("opening", at[2], 3), 2, "do not fit the entry"),
    "a deleted entry": (lambda f, at: f.change("DELETE FROM audit_entry WHERE leaf_index = ?", at[2]), 3, "is missing"),
    "two entries that changed places": (
        lambda f, at: f.execute(
            f"UPDATE audit_entry SET leaf_index = -1 WHERE leaf_index = {at[2]}",
            f"UPDATE audit_entry SET leaf_index = {at[2]} WHERE leaf_index = {at[3]}",
            f"UPDATE audit_entry SET leaf_index = {at[3]} WHERE leaf_index = -1",
        ),
        2,
        "not in the log",
    ),
    "another number": (
        lambda f, at: f.rewrite_numbers(at[2], lambda n: n._replace(plain=[*n.plain[:-1], n.plain[-1] + 1])),
        2,
        "not in the log",
    ),
    "another total": (
        lambda f, at: f.rewrite_numbers(at[-1], lambda n: n._replace(totals=n.totals._replace(allowed=1))),
        -1,
        "not in the log",
    ),
}


@pytest.mark.parametrize("name", IN_EXPORT)
def test_an_export_shows(scene: Scene, forger: Forger, name: str) -> None:
    forge, place, message = IN_EXPORT[name]
    victim = scene.early[0]
    at = [index for index in forger.indexes("user_id", victim.person.id) if index < TILE]
    forge(forger, at)
    try:
        status, output = scene.verify(scene.history(victim))
        assert (status, output.startswith(f"index {at[place]}: ")) == (1, True), output
        assert message in output
    finally:
        forger.restore()


# `tests/audit/test_verification.py` flips bytes of all three in CI.
@pytest.mark.parametrize(
    "column", ["record", *(pytest.param(column, marks=pytest.mark.soak) for column in ("opening", "sealed"))]
)
def test_the_operator_finds_a_flipped_byte(scene: Scene, forger: Forger, earlier: Path, column: str) -> None:
    index = next(i for i in forger.indexes("event", "consent.approved") if i < TILE)
    forger.flip(column, index, 40)
    try:
        status, output = scene.audit_verify(earlier)
        assert (status, output.startswith(f"index {index}: ")) == (1, True), output
    finally:
        forger.restore()


# What is signed again with the log's own key


def check_signed_again(scene: Scene, victim: Connected, earlier: Path, name: str) -> Path:
    """Check that the forged log looks sound, but not beside an earlier checkpoint. Return an export of it."""
    export = scene.history(victim)
    assert scene.verify(export)[0] == 0, "the forgery was meant to be perfect"
    status, output = scene.verify_since(export, earlier)
    assert (status, output.startswith(f"{name}: ")) == (1, True), output
    status, output = scene.audit_verify(earlier)
    assert (status, f"{name}: " in output) == (1, True), output
    return export


def test_a_truncated_log_that_was_signed_again(scene: Scene, forger: Forger, witness: Witness) -> None:
    stays, size = scene.connect(2), scene.server.database.count_entries()
    scene.connect(6)
    earlier = scene.keep_checkpoint()
    assert scene.verify(scene.history(stays), "--witness", witness.key)[0] == 0
    forger.truncate(size)
    forger.sign_again(size)
    export = check_signed_again(scene, stays, earlier, "rollback")
    status, output = scene.verify(export, "--witness", witness.key)
    assert (status, "not cosigned by witness.example/w1" in output) == (1, True), output


def test_a_fork_that_was_signed_again(scene: Scene, forger: Forger) -> None:
    victim = scene.connect(4)
    earlier = scene.keep_checkpoint()
    index = forger.indexes("user_id", victim.person.id)[-1]
    forger.rewrite_record(index, b'"requestId":"req_', b'"requestId":"req-')
    forger.sign_again(index)
    check_signed_again(scene, victim, earlier, "fork")


def test_a_stream_that_was_renumbered_and_signed_again(scene: Scene, forger: Forger) -> None:
    victim = scene.connect(4)
    scene.server.database.count_entries()  # once all are in the log
    *_, removed, index = forger.indexes("user_id", victim.person.id)
    forger.rewrite_numbers(index, lambda numbers: numbers._replace(plain=[*numbers.plain[:-1], numbers.plain[-1] + 1]))
    forger.sign_again(removed)
    status, output = scene.verify(scene.history(victim))
    assert status == 1
    assert output.startswith(f"index {index}: number ")
    assert "of stream person is missing" in output


def test_a_total_that_was_changed_and_signed_again(scene: Scene, forger: Forger) -> None:
    victim = scene.connect(4)
    scene.server.database.count_entries()  # once all are in the log
    index = forger.indexes("user_id", victim.person.id)[-1]
    forger.rewrite_numbers(index, lambda numbers: numbers._replace(totals=numbers.totals._replace(allowed=3)))
    forger.sign_again(index)
    assert scene.verify(scene.evidence(victim)) == (1, f"index {index}: total allowed is 3 and must be 4\n")


# The evidence of a connection


def edit(scene: Scene, export: Path, remove: int) -> tuple[Path, list[int]]:
    """Return the export without one of its lines, and the indexes of its entries as they were."""
    lines = export.read_text().splitlines(keepends=True)
    indexes = [json.loads(line)["index"] for line in lines[1:-1]]
    del lines[remove]
    return scene.file("".join(lines)), indexes


def test_an_entry_left_out_of_the_evidence(scene: Scene) -> None:
    victim = scene.connect(3)
    export = scene.evidence(victim)
    assert scene.verify(export)[0] == 0
    for line, after in ((4, 4), (-3, -1)):
        file, indexes = edit(scene, export, line)
        status, output = scene.verify(file)
        assert (status, output.startswith(f"index {indexes[after]}: number ")) == (1, True), output
        assert "of stream connection is missing" in output


def test_evidence_whose_end_is_left_out(scene: Scene) -> None:
    file, indexes = edit(scene, scene.evidence(scene.connect(3)), -2)
    status, output = scene.verify(file)
    assert status == 1
    assert output.startswith(f"index {indexes[-2]}: the last entry is not the export's own")


def test_a_decision_that_never_reached_the_log(scene: Scene, forger: Forger) -> None:
    """Only the receipt shows it: a decision that was deleted before the log had it leaves no gap."""
    victim = scene.connect(2)
    scene.server.database.count_entries()  # once all are in the log
    with forger.paused():
        before = forger.waiting()
        decision = scene.decide(victim, receipt=True)
        for row_id in set(forger.waiting()) - set(before):
            forger.change("DELETE FROM audit_journal WHERE id = ?", row_id)
    export, receipt = scene.evidence(victim), scene.file(json.dumps(decision))
    assert scene.verify(export)[0] == 0, "the log does not miss what it never had"
    assert audit("receipt", receipt, "--key", scene.key)[0] == 0
    status, output = audit("receipt", receipt, "--key", scene.key, "--export", export)
    assert (status, decision["auditId"] in output) == (1, True), output


def test_a_receipt_fits_the_evidence(scene: Scene) -> None:
    victim = scene.connect(2)
    receipt = scene.file(json.dumps(scene.decide(victim, receipt=True)))
    assert audit("receipt", receipt, "--key", scene.key, "--export", scene.evidence(victim))[0] == 0


def test_a_decision_moved_behind_the_revocation(scene: Scene, forger: Forger) -> None:
    victim = scene.connect(2)
    scene.server.database.count_entries()  # once all are in the log
    with forger.paused():
        before = forger.waiting()
        scene.decide(victim)
        (allowed,) = set(forger.waiting()) - set(before)
        scene.revoke(victim)
        last = forger.waiting()[-1]
        assert last > allowed
        forger.change("UPDATE audit_journal SET id = ? WHERE id = ?", last + 1_000_000, allowed)
    # The entry of the export would get a lower id than the moved one.
    wait_until(lambda: not forger.waiting(), scene.server.log_text, 20)
    status, output = scene.verify(scene.evidence(victim))
    (revoked,) = indexes_of(forger, victim, "consent.revoked")
    index = indexes_of(forger, victim, "token.verify")[-1]
    assert (status, output) == (1, f"index {index}: allowed after consent.revoked at index {revoked}\n")


def indexes_of(forger: Forger, victim: Connected, event: str) -> list[int]:
    return sorted({*forger.indexes("consent_id", victim.consent_id)} & {*forger.indexes("event", event)})


def ids_of(scene: Scene, victim: Connected) -> dict[str, str]:
    return {
        "organization": scene.developer.organization_id,
        "user": victim.person.id,
        "agent": scene.agent.id,
        "consent": victim.consent_id,
    }


def test_more_decisions_than_the_limit(scene: Scene, forger: Forger) -> None:
    victim = scene.connect(3)
    limit = ("--limit", "5/3600")
    assert scene.verify(scene.evidence(victim), *limit)[0] == 0
    forger.write_decisions(ids_of(scene, victim), [None] * 4)
    status, output = scene.verify(scene.evidence(victim), *limit)
    index = indexes_of(forger, victim, "token.verify")[5]
    assert (status, output.startswith(f"index {index}: number 6 within 3600 seconds")) == (1, True), output


def test_more_spent_than_the_limit(scene: Scene, forger: Forger) -> None:
    victim = scene.connect()
    scene.decide(victim, context=SPEND)
    limit = ("--spend", "100.00/EUR/86400")
    assert scene.verify(scene.evidence(victim), *limit)[0] == 0
    forger.write_decisions(ids_of(scene, victim), ["50", "40.00", "0.01", "1"])
    status, output = scene.verify(scene.evidence(victim), *limit)
    index = indexes_of(forger, victim, "token.verify")[3]
    assert (status, output.startswith(f"index {index}: 100.01 EUR spent within 86400 seconds")) == (1, True), output
