"""Checkpoints are cosigned by real witnesses, which refuse a log that was rolled back or forked."""

import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from agentgate.environment import Environment, read_witnesses
from audit.condition import look
from audit.models import Checkpoint, Cosignature, WitnessFailure
from audit.sequencing.sequencer import sequence
from audit.signing import checkpoints, witnesses
from audit.signing.log_keys import signer
from audit.signing.notes import CosignatureLine, NoteBroken, checkpoint_text, split_verifier_key
from audit.signing.witnesses import Collector, Submitter, Witness, WitnessRefused
from core import clock
from tests.audit.journals import write_row
from tests.servers import free_port
from tests.shared import cases
from tests.verifier import ED25519, WitnessServer, open_checkpoint, open_state, parse_key
from tests.verifier import Witness as RealWitness
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """Run the witness of our package in a thread, for this log."""
    state = open_state(tmp_path / "state.json", "witness.example/w1", "")
    server = WitnessServer(("127.0.0.1", 0), RealWitness(state, [parse_key(signer().verifier_key, ED25519)]))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Witness(f"http://127.0.0.1:{server.server_port}", str(state.key))
    server.shutdown()
    thread.join()
    server.server_close()
    state.close()


def log_entries(number: int) -> None:
    write_row(number)
    sequence()


def test_each_new_checkpoint_is_cosigned(witness: Witness, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.AUDIT_WITNESSES = [witness.url]
    submitter = Submitter(witness)
    for size in (3, 300, 1):
        log_entries(size)
        submitter.submit()
    submitter.submit()
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
    assert "HTTP Request" not in caplog.text, "a line per request would fill the log"


def test_a_witness_gets_hashes_only(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, post = list[str](), witnesses._post

    async def note(url: str, content: bytes) -> tuple[int, bytes]:
        sent.append(content.decode())
        return await post(url, content)

    monkeypatch.setattr(witnesses, "_post", note)
    submitter = Submitter(witness)
    for size in (3, 300):
        log_entries(size)
        submitter.submit()
    for content, size in zip(sent, (3, 303), strict=True):
        proof, _, checkpoint = content.partition("\n\n")
        assert re.fullmatch(r"old \d+(\n[A-Za-z0-9+/]{43}=)*", proof)
        assert checkpoint == Checkpoint.objects.get(size=size).note
        assert re.fullmatch(r"\S+\n\d+\n[A-Za-z0-9+/]{43}=\ntime \S+\n\n— \S+ \S+\n", checkpoint)


@pytest.mark.parametrize(
    ("status", "is_refusal"), [(422, True), (409, True), (404, True), (200, True), (500, False), (429, False)]
)
def test_why_a_witness_does_not_sign_is_stored(
    witness: Witness, status: int, is_refusal: bool, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AUDIT_WITNESSES = [witness.url]

    async def answer(url: str, content: bytes) -> tuple[int, bytes]:
        return status, b"no"

    log_entries(3)
    submitter = Submitter(witness)
    with monkeypatch.context() as patch:
        patch.setattr(witnesses, "_post", answer)
        submitter.submit()
        submitter.submit()
    failure = WitnessFailure.objects.get(witness=witness.url)
    assert (failure.is_refusal, bool(failure.reason)) == (is_refusal, True)
    assert look().refusing == ([witness.url] if is_refusal else [])
    settings.AUDIT_WITNESSES = ["https://other.example"]
    assert look().refusing == [], "a witness that is no longer asked"

    submitter.submit()
    assert not WitnessFailure.objects.exists()


def test_what_another_process_has_stored_of_a_witness_is_replaced(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(url: str, content: bytes) -> tuple[int, bytes]:
        return 422, b"no"

    log_entries(3)
    here, there = Submitter(witness), Submitter(witness)
    here.submit()
    log_entries(1)
    with monkeypatch.context() as patch:
        patch.setattr(witnesses, "_post", refuse)
        there.submit()
    assert WitnessFailure.objects.exists()
    here.submit()
    assert not WitnessFailure.objects.exists()


def test_a_witness_that_knows_more_than_the_database_goes_on(witness: Witness) -> None:
    """The cosignature of a committed checkpoint can be lost in a crash, but the witness has stored it."""
    log_entries(3)
    Submitter(witness).submit()
    Cosignature.objects.all().delete()
    log_entries(2)
    Submitter(witness).submit()
    assert Cosignature.objects.get().size == 5


def test_a_lost_answer_is_asked_for_again_while_the_log_is_idle(witness: Witness) -> None:
    log_entries(3)
    Submitter(witness).submit()
    log_entries(2)
    Submitter(witness).submit()
    for stored in (Cosignature.objects.filter(size=5), Cosignature.objects.all()):
        stored.delete()
        Submitter(witness).submit()
        assert Cosignature.objects.filter(size=5).exists()


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_log_that_was_rolled_back_or_forked_is_not_cosigned(
    size: int, witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log_entries(3)
    submitter = Submitter(witness)
    submitter.submit()
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
        submitter.submit()
    assert not Cosignature.objects.exists()
    (record,) = [record for record in caplog.records if record.name == "audit.signing.witnesses"]
    assert "does not sign" in record.getMessage()
    assert WitnessFailure.objects.get().is_refusal


def test_a_cosignature_of_another_key_is_not_accepted(witness: Witness, caplog: pytest.LogCaptureFixture) -> None:
    other = "witness.example/w1+59a7c9b0+BN7rZ0iT8rRHo1l0vF5Zq4Wc1fV3KqL0v8K2l0mC3q4x"
    log_entries(1)
    with pytest.raises(ValueError, match="key id"):
        split_verifier_key(other)
    name, _, public = split_verifier_key(witness.key)
    changed = public[:-1] + bytes([public[-1] ^ 1])
    Submitter(Witness(witness.url, verifier_key(name, changed))).submit()
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


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Run a server that gives this answer, and return its URL."""
    server = Answers(status, body)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def dripping() -> Iterator[tuple[str, threading.Event]]:
    """Run a server that sends a byte of a header now and then until the event is set. Return its URL and the event."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as connected:
            connected.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            with suppress(OSError):  # the client may go away
                while not ended.wait(0.05):
                    connected.sendall(b"x")

    listener.settimeout(20)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", ended
    finally:
        ended.set()
        thread.join()


@contextmanager
def collecting(*asked: Witness) -> Iterator[None]:
    """Run the collector as the sequencer's process does."""
    stopped, is_active = threading.Event(), threading.Event()
    is_active.set()
    thread = threading.Thread(target=Collector(asked).run, args=(stopped, is_active))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "audit.signing.witnesses"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, "— localhost:8000/api/v1/audit ".encode() + b64encode(bytes(76)) + b"\n"),
        (200, "— a\0b ".encode() + b64encode(bytes(76)) + b"\n"),
        (200, b"x" * 100_000),
        (302, b""),
        (403, b"no"),
        (404, b"no"),
        (409, b"not a size"),
        (409, b"9" * 30),
        (409, b"7\n"),
        (409, b"1\n"),
        (500, b"oops"),
    ],
)
def test_any_other_answer_is_logged_once(status: int, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    log_entries(1)
    with answering(status, body) as url:
        submitter = Submitter(Witness(url, ""))
        for _ in range(3):
            submitter.submit()
    assert not Cosignature.objects.exists()
    assert len(messages(caplog)) == 1


def line(name: str, data: bytes) -> str:
    return f"— {name} {b64encode(data).decode()}"


GOOD = line("w.example/1", bytes(76))


def test_a_line_of_the_right_form_is_accepted() -> None:
    assert CosignatureLine.parse(GOOD) == ("w.example/1", bytes(4), 0, bytes(64))


@cases(
    "bad",
    [
        "",
        "— ",
        GOOD.removeprefix("— "),
        f" {GOOD}",
        f"{GOOD} ",
        f"{GOOD}\r",
        f"{GOOD}\n",
        GOOD.replace("—", "-"),
        GOOD.replace("—", "——"),
        GOOD.replace(" ", "  "),
        GOOD.replace(" ", "\N{NO-BREAK SPACE}"),
        *(line(f"a{one}b", bytes(76)) for one in " +\0\t\n\v\x1c\x1f\r\x85\N{NO-BREAK SPACE}\u2003\u2028\u3000"),
        line("", bytes(76)),
        line("w", bytes(75)),
        line("w", bytes(77)),
        line("w", bytes(75) + b"a" * 500),
        line("w", bytes(4) + b"\x80" + bytes(71)),
        GOOD[:-2],
        GOOD[:-1],
        f"{GOOD}=",
        f"{GOOD}AAAA",
        GOOD[:-3] + "B==",
        GOOD.replace("AAAA", "AA\nAA", 1),
        GOOD.replace("AAAA", "AA-_", 1),
        GOOD.replace("AAAA", "\uff21" * 4, 1),
    ],
)
def test_a_line_that_verifiers_refuse_is_not_accepted(bad: str) -> None:
    with pytest.raises(NoteBroken):
        CosignatureLine.parse(bad)


def test_no_answer_makes_a_checkpoint_unverifiable() -> None:
    """A witness without a known key adds what verifiers read, not in the name of the log or of a known witness."""
    log_entries(1)
    known = Witness("http://127.0.0.1:1", verifier_key("known.example", bytes(32)))
    body = "\n".join(
        [
            line(signer().origin, signer().key_id + bytes(72)),
            line("known.example", bytes(76)),
            line("a\N{NO-BREAK SPACE}b", bytes(76)),
            f"{line('c', bytes(76))}\r",
            f"{line('d', bytes(76))}\u2028{line('e', bytes(76))}",
            GOOD,
            "",
        ]
    )
    with answering(200, body.encode()) as url:
        witness = Witness(url, "")
        Submitter(witness, [witness, known]).submit()
    checkpoint = checkpoints.latest()
    assert checkpoint is not None
    note = checkpoints.with_cosignatures(checkpoint)
    assert note == f"{checkpoint.note}{GOOD}\n"
    assert open_checkpoint(note, parse_key(signer().verifier_key, ED25519)).size == 1


def test_a_checkpoint_has_no_more_signatures_than_verifiers_read() -> None:
    """The first line of each witness comes first, so none can push out another."""
    log_entries(1)
    for number in range(10):
        lines = [line(f"w{number}.example/{position}", bytes(76)) for position in range(8)]
        Cosignature.objects.create(size=1, witness=f"http://w{number}.example", line="\n".join(lines))
    checkpoint = checkpoints.latest()
    assert checkpoint is not None
    note = checkpoints.with_cosignatures(checkpoint)
    opened = open_checkpoint(note, parse_key(signer().verifier_key, ED25519))
    assert [signature.name for signature in opened.note.signatures[1:11]] == [f"w{one}.example/0" for one in range(10)]
    assert len(opened.note.signatures) == 64


@pytest.mark.on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_witness_that_is_down_does_not_stop_the_others(witness: Witness, caplog: pytest.LogCaptureFixture) -> None:
    log_entries(1)
    with collecting(Witness(f"http://127.0.0.1:{free_port()}", ""), witness):
        wait_until(Cosignature.objects.exists, lambda: caplog.text, 20)
        wait_until(lambda: bool(messages(caplog)), lambda: caplog.text, 20)
    assert Cosignature.objects.get().witness == witness.url
    assert caplog.text.count("does not sign") == 1


@pytest.mark.on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_slow_witness_does_not_delay_the_others(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(witnesses, "DEADLINE_SECONDS", 60.0)
    monkeypatch.setattr(witnesses, "INTERVAL_SECONDS", 0.05)
    log_entries(1)
    with dripping() as (url, ended), collecting(Witness(url, ""), witness):
        for size in (1, 2, 3):
            wait_until(Cosignature.objects.filter(size=size).exists, lambda: caplog.text, 20)
            log_entries(1)
        assert not messages(caplog), "the slow witness has not answered yet"
        ended.set()
    assert set(Cosignature.objects.values_list("witness", flat=True)) == {witness.url}


def test_a_request_has_a_deadline(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(witnesses, "DEADLINE_SECONDS", 0.5)
    log_entries(1)
    with dripping() as (url, _):
        started = time.monotonic()
        Submitter(Witness(url, "")).submit()
        assert time.monotonic() - started < 5
    assert messages(caplog) == [f"Witness {url} does not sign: it has not answered within 0.5 seconds"]


@pytest.mark.on_sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [RuntimeError("oops"), OperationalError("gone")])
def test_no_error_ends_the_collector(
    error: Exception, witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log_entries(1)
    failures: list[int] = []

    def latest(real: Callable[[], Checkpoint | None] = checkpoints.latest) -> Checkpoint | None:
        if len(failures) < 3:
            failures.append(1)
            raise error
        return real()

    monkeypatch.setattr(witnesses, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(checkpoints, "latest", latest)
    with collecting(witness):
        wait_until(Cosignature.objects.exists, lambda: caplog.text, 20)
    assert len(messages(caplog)) == 1


def test_a_witness_that_fails_now_and_then_is_not_logged_each_time(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    submitter = Submitter(witness)
    for fails in (True, False, True, False, True):
        log_entries(1)
        with monkeypatch.context() as patch:
            if fails:
                patch.setattr(submitter, "_send", refuse)
            submitter.submit()
    assert len(messages(caplog)) == 1
    monkeypatch.setattr(witnesses, "time", Later)
    monkeypatch.setattr(submitter, "_send", refuse)
    submitter.submit()
    assert len(messages(caplog)) == 2


def refuse(*given: Any) -> list[str]:
    raise WitnessRefused("HTTP status 500")


class Later:
    @staticmethod
    def monotonic() -> float:
        return time.monotonic() + 61


def published_size() -> int | None:
    found = checkpoints.published()
    return found and found.size


def test_the_first_checkpoint_is_published_at_once(settings: Any) -> None:
    settings.AUDIT_WITNESSES = ["https://witness.example"]
    assert published_size() is None
    log_entries(1)
    assert published_size() == 1
    log_entries(1)
    assert published_size() == 1


@pytest.mark.postgresql
def test_a_checkpoint_without_a_cosignature_is_published_after_10_seconds(settings: Any) -> None:
    add_checkpoints({10: 12.0, 20: 11.0, 30: 9.0})
    assert published_size() == 30
    settings.AUDIT_WITNESSES = ["https://witness.example"]
    assert published_size() == 20
    cosign(30)
    assert published_size() == 30


def test_the_published_checkpoint_is_never_older_than_before(settings: Any) -> None:
    """The answer of a late witness about an older checkpoint does not bring that back."""
    settings.AUDIT_WITNESSES = ["https://witness.example"]
    shown = []
    for change in (
        lambda: add_checkpoints({10: 13.0}),
        lambda: cosign(10),
        lambda: add_checkpoints({20: 11.5, 30: 0.5}),
        lambda: cosign(20),
        lambda: cosign(30),
        lambda: add_checkpoints({40: 30.0, 50: 11.0}),
        lambda: cosign(40),
    ):
        change()
        shown.append(published_size())
    assert shown == [10, 10, 20, 20, 30, 50, 50]


def test_the_first_cosignature_brings_no_older_checkpoint_back(settings: Any) -> None:
    settings.AUDIT_WITNESSES = ["https://witness.example"]
    add_checkpoints({10: 2.0, 20: 1.0})
    before = published_size()
    cosign(10)
    assert (before, published_size()) == (10, 10)


@pytest.mark.postgresql
def test_the_database_decides_when_a_checkpoint_has_waited(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes on several machines, whose clocks differ, publish the same."""
    settings.AUDIT_WITNESSES = ["https://witness.example"]
    add_checkpoints({10: 12.0, 20: 9.0})
    ahead = clock.now() + timedelta(seconds=5)
    monkeypatch.setattr(clock, "now", lambda: ahead)
    assert published_size() == 10


def add_checkpoints(ages: dict[int, float]) -> None:
    """Add checkpoints of these sizes and ages in seconds."""
    for size, age in ages.items():
        Checkpoint.objects.create(size=size, created_at=clock.now() - timedelta(seconds=age), note="")


def cosign(size: int) -> None:
    Cosignature.objects.create(size=size, witness="https://witness.example", line=GOOD)


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
        f"https://w.example#{verifier_key('w\N{NO-BREAK SPACE}w', bytes(32))}",
        f"https://w.example#{key[:-1]}B",
    ):
        with pytest.raises(SystemExit):
            read_witnesses(Environment({"AUDIT_WITNESSES": bad}))
