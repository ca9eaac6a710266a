"""Checkpoints are cosigned by real witnesses, which refuse a log that was rolled back or forked."""

import os
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentgate.environment import Environment, read_witnesses
from audit.models import Checkpoint, Cosignature
from audit.sequencing.sequencer import sequence
from audit.signing import checkpoints
from audit.signing.log_keys import signer
from audit.signing.notes import checkpoint_text, split_verifier_key
from audit.signing.witnesses import Collector, Witness
from core import clock
from tests.audit.journals import write_row
from tests.servers import die_with_parent, free_port
from tests.waiting import wait_until

SOURCES = Path(__file__).parents[2] / "sdk" / "audit" / "src"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """Run a witness of this log, and return its address with the key that it prints."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "agentgate_audit", "witness", "--listen", address]
    command += ["--state", str(tmp_path / "state.json"), "--log", signer().verifier_key, "--name", "witness.example/w1"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONUNBUFFERED": "1"}
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, preexec_fn=die_with_parent)
    try:
        wait_until(lambda: answers(address), output.read_text, 20)
        key = next(word for word in output.read_text().split() if word.startswith("witness.example/w1+"))
        yield Witness(f"http://{address}", key)
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool:
    try:
        return httpx.post(f"http://{address}/add-checkpoint", content=b"").status_code == 400
    except httpx.HTTPError:
        return False


def log_entries(number: int) -> None:
    write_row(number)
    sequence()


def test_each_new_checkpoint_is_cosigned(witness: Witness, settings: Any) -> None:
    settings.AUDIT_WITNESSES = [witness.url]
    collector = Collector([witness])
    for size in (3, 300, 1):
        log_entries(size)
        collector.collect()
    collector.collect()
    assert list(Cosignature.objects.order_by("size").values_list("size", "witness")) == [
        (3, witness.url),
        (303, witness.url),
        (304, witness.url),
    ]
    published = checkpoints.published()
    assert published is not None
    note = checkpoints.with_cosignatures(published)
    assert note.startswith(published.note)
    assert note.removeprefix(published.note).startswith("— witness.example/w1 ")


def test_a_witness_that_knows_more_than_the_database_goes_on(witness: Witness) -> None:
    """The cosignature of a committed checkpoint can be lost in a crash, but the witness has stored it."""
    log_entries(3)
    Collector([witness]).collect()
    Cosignature.objects.all().delete()
    log_entries(2)
    Collector([witness]).collect()
    assert Cosignature.objects.get().size == 5


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_log_that_was_rolled_back_or_forked_is_not_cosigned(
    size: int, witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log_entries(3)
    collector = Collector([witness])
    collector.collect()
    log_entries(2)
    key = signer()
    forged = Checkpoint(
        size=size,
        created_at=clock.now(),
        note=key.sign_note(checkpoint_text(key.origin, size, b"\x07" * 32, clock.now())),
    )
    monkeypatch.setattr(checkpoints, "latest", lambda: forged)
    Cosignature.objects.all().delete()
    for _ in range(2):
        collector.collect()
    assert not Cosignature.objects.exists()
    (record,) = [record for record in caplog.records if record.name == "audit.signing.witnesses"]
    assert "does not sign" in record.getMessage()


def test_a_cosignature_of_another_key_is_not_accepted(witness: Witness, caplog: pytest.LogCaptureFixture) -> None:
    other = "witness.example/w1+59a7c9b0+BN7rZ0iT8rRHo1l0vF5Zq4Wc1fV3KqL0v8K2l0mC3q4x"
    log_entries(1)
    with pytest.raises(ValueError, match="key id"):
        split_verifier_key(other)
    name, _, public = split_verifier_key(witness.key)
    changed = public[:-1] + bytes([public[-1] ^ 1])
    Collector([Witness(witness.url, verifier_key(name, changed))]).collect()
    assert not Cosignature.objects.exists()
    assert "no signature in its answer verifies" in caplog.text


def verifier_key(name: str, public: bytes) -> str:
    raw = b"\x04" + public
    return f"{name}+{sha256(name.encode() + b'\n' + raw).hexdigest()[:8]}+{b64encode(raw).decode()}"


class Answers(HTTPServer):
    """A server that gives the same answer to everything."""

    def __init__(self, status: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *given: Any) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, "— localhost:8000/api/v1/audit ".encode() + b"A" * 100 + b"\n"),
        (200, b"x" * 100_000),
        (302, b""),
        (403, b"no"),
        (404, b"no"),
        (409, b"not a size"),
        (409, b"9" * 30),
        (409, b"7\n"),
        (500, b"oops"),
    ],
)
def test_any_other_answer_is_logged_once(status: int, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    server = Answers(status, body)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    log_entries(1)
    collector = Collector([Witness(f"http://127.0.0.1:{server.server_port}", "")])
    try:
        for _ in range(3):
            collector.collect()
    finally:
        server.shutdown()
        server.server_close()
    assert not Cosignature.objects.exists()
    assert len([record for record in caplog.records if record.name == "audit.signing.witnesses"]) == 1


def test_a_witness_that_is_down_does_not_stop_the_others(witness: Witness, caplog: pytest.LogCaptureFixture) -> None:
    log_entries(1)
    Collector([Witness(f"http://127.0.0.1:{free_port()}", ""), witness]).collect()
    assert Cosignature.objects.get().witness == witness.url
    assert caplog.text.count("does not sign") == 1


def test_the_newest_checkpoint_is_published_when_witnesses_are_late(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_WITNESSES = ["https://witness.example"]
    assert checkpoints.published() is None
    log_entries(1)
    assert checkpoints.published().size == 1  # type: ignore[union-attr]
    Cosignature.objects.create(size=1, witness="https://witness.example", line="— w AAAA")
    log_entries(1)
    assert checkpoints.published().size == 1  # type: ignore[union-attr]
    later = clock.now() + timedelta(seconds=11)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert checkpoints.published().size == 2  # type: ignore[union-attr]


def test_witnesses_need_urls_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    key = verifier_key("w.example", bytes(32))
    good = f"https://w.example/prefix#{key},http://127.0.0.1:9000"
    assert read_witnesses(Environment({"AUDIT_WITNESSES": good})) == good.split(",")
    for bad in (
        "w.example",
        "ftp://w.example",
        "https://w.example/?a=b",
        "https://a@w.example",
        "https://w.example#key",
    ):
        with pytest.raises(SystemExit):
            read_witnesses(Environment({"AUDIT_WITNESSES": bad}))
