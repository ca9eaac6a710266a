"""The command: exit statuses, and what it prints."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from log_builder import LogBuilder, Signer, b64, canonical
from receipt_builder import QUESTION, payload, sign

import agentgate_audit
from agentgate_audit.cli import main
from agentgate_audit.note import COSIGNATURE
from agentgate_audit.strict_json import MAX_LINE

VKEY = Signer().vkey


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("key").write_text(f"{VKEY}\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_an_export_is_verified(history: LogBuilder, witness: Signer, capsys: pytest.CaptureFixture[str]):
    history.export(witnesses=(witness,)).write(Path("export.jsonl"))
    limits = ["--limit", "5/60", "--spend", "20/EUR/60"]
    status, out, err = run(capsys, "verify", "export.jsonl", "--key", "key", "--witness", witness.vkey, *limits)

    assert (status, err) == (0, "")
    assert out == (
        "Everything holds.\n"
        "stream       person usr_1, complete\n"
        "entries      8, numbers 1 to 8, 5 decisions\n"
        "time         2026-01-01 00:00:03 UTC to 2026-01-01 02:46:40 UTC\n"
        "log          gate.example.com/api/v1/audit, 14 entries, 2026-01-01 00:00:14 UTC\n"
        "witness      witness.example/w1, 2026-02-02 02:40:00 UTC\n"
        "limit        5/60 held in every window\n"
        "limit        20/EUR/60 held in every window\n"
    )


def test_hidden_data_and_parts_are_reported(history: LogBuilder, capsys: pytest.CaptureFixture[str]):
    export = history.export(start=7, end=9)
    del export.entries[2]["disclosures"]["personal"]
    export.write(Path("export.jsonl"))
    status, out, _ = run(capsys, "verify", "export.jsonl", "--key", VKEY)

    assert status == 0
    assert "person usr_1, a part of it\nentries      5, numbers 2 to 8, " in out
    assert "not checked  1 entries have data that this export does not disclose" in out


def test_unreadable_amounts_are_counted(history: None, capsys: pytest.CaptureFixture[str]):
    log = LogBuilder()
    log.allow(amount={"unreadable": True})
    log.export().write(Path("export.jsonl"))
    status, out, _ = run(capsys, "verify", "export.jsonl", "--key", VKEY)
    assert status == 0
    assert "not counted  1 allowed decisions have an amount that the server could not read\n" in out

    status, out, err = run(capsys, "verify", "export.jsonl", "--key", VKEY, "--spend", "99/EUR/60")
    assert (status, out) == (2, "")
    assert "spending cannot be checked" in err


def test_the_first_bad_index_is_one_line(history: LogBuilder, capsys: pytest.CaptureFixture[str]):
    export = history.export()
    export.entries.pop(2)
    export.write(Path("export.jsonl"))

    assert run(capsys, "verify", "export.jsonl", "--key", VKEY) == (
        1,
        "index 8: number 3 of stream person is missing\n",
        "",
    )


def test_an_older_checkpoint(history: LogBuilder, capsys: pytest.CaptureFixture[str], folder: Path):
    Path("old").write_text(history.checkpoint(5))
    history.export().write(Path("export.jsonl"))
    history.tree.write_tiles(folder, len(history.leaves))
    Path("new").write_text(history.checkpoint())
    verify = ["verify", "export.jsonl", "--key", "key", "--consistent-with"]

    status, out, _ = run(capsys, *verify, "old", "--log", ".")
    assert status == 0
    assert out.endswith("consistency  the log extends the checkpoint with 5 entries\n")
    status, out, err = run(capsys, *verify, "old")
    assert (status, out) == (2, "")
    assert "with --log" in err
    assert run(capsys, "consistency", "old", "new", "--key", "key", "--log", ".") == (
        0,
        "The log with 14 entries extends the log with 5 entries.\n",
        "",
    )
    status, out, err = run(capsys, "consistency", "new", "old", "--key", "key", "--log", ".")
    assert (status, out) == (2, "")
    assert "is the newer one" in err
    Path("old").write_text(history.checkpoint(5).replace("time 2026", "time 2025"))
    status, out, _ = run(capsys, *verify, "old", "--log", ".")
    assert (status, out) == (1, "old: has a false signature in the name of gate.example.com/api/v1/audit\n")


def test_a_proof(history: LogBuilder, capsys: pytest.CaptureFixture[str]):
    Path("proof.json").write_text(canonical(history.proof(4)))
    status, out, _ = run(capsys, "proof", "proof.json", "--key", "key")

    assert status == 0
    assert "entry        log_4, token.verify, allowed\n" in out
    assert "disclosed    personal, streams\n" in out
    Path("proof.json").write_text(canonical({**history.proof(4), "proof": []}))
    assert run(capsys, "proof", "proof.json", "--key", "key")[:2] == (
        1,
        "index 4: the entry is not in the log with the checkpoint's root\n",
    )


def test_a_receipt(log: LogBuilder, capsys: pytest.CaptureFixture[str]):
    log.allow(at=0)
    log.export().write(Path("export.jsonl"))
    Path("question.json").write_text(canonical(QUESTION))
    Path("decision.json").write_text(canonical({"allowed": True, "receipt": sign(payload())}))
    receipt = ["receipt", "decision.json", "--key", "key"]
    status, out, err = run(capsys, *receipt, "--question", "question.json", "--export", "export.jsonl")

    assert (status, err) == (0, "")
    assert "decision     allowed\n" in out
    assert "entry        log_0, index 0 in the log\nquestion     matches\n" in out

    Path("question.json").write_text(canonical({**QUESTION, "action": "email:read"}))
    assert run(capsys, *receipt, "--question", "question.json")[:2] == (1, "the receipt is about another question\n")
    Path("decision.json").write_text(canonical({"allowed": False, "receipt": sign(payload())}))
    changed = "allowed is False in the decision and True in its receipt\n"
    assert run(capsys, *receipt) == (1, changed, "")
    Path("decision.json").write_text(sign(payload(auditId="log_5", decision={"allowed": False, "reason": "x"})))
    assert "decision     denied: 'x'\n" in run(capsys, *receipt)[1]
    assert run(capsys, *receipt, "--export", "export.jsonl")[:2] == (1, "the export has no entry 'log_5'\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "missing", "--key", VKEY], "missing: No such file or directory"),
        (["verify", ".", "--key", VKEY], ".: "),
        (["verify", "/dev/zero", "--key", VKEY], "/dev/zero: not a file"),
        (["verify", "key", "--key", VKEY], "not an export of an AgentGate log"),
        (["verify", "key", "--key", "nokey"], "not a verifier key"),
        (["verify", "key", "--key", VKEY[:-5]], "not a"),
        (["verify", "key", "--key", VKEY, "--witness", VKEY], "this is a log's key"),
        (["verify", "key", "--key", VKEY, "--limit", "x"], "not a limit"),
        (["verify", "key", "--key", VKEY, "--spend", "x"], "not a limit of spending"),
        (["proof", "key", "--key", VKEY], "key: is not JSON"),
        (["receipt", "key", "--key", VKEY], "not a receipt"),
        (["consistency", "key", "missing", "--key", VKEY, "--log", "."], "missing: "),
        (["witness", "--listen", "nowhere", "--state", "s", "--log", VKEY], "not an address"),
        (["witness", "--listen", "127.0.0.1:70000", "--state", "s", "--log", VKEY], "not an address"),
        (["witness", "--listen", "192.0.2.1:80", "--state", "s", "--log", VKEY], "192.0.2.1:80: "),
        (["witness", "--listen", "127.0.0.1:0", "--state", "s", "--log", "nokey"], "not a verifier key"),
        (["witness", "--listen", "127.0.0.1:0", "--state", "missing/s", "--log", VKEY], "missing/s: No such"),
    ],
)
def test_unusable_input_exits_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    if arguments[:3] == ["consistency", "key", "missing"]:
        Path("key").write_text(LogBuilder().checkpoint())
    status, out, err = run(capsys, *arguments)

    assert (status, out) == (2, "")
    assert err.startswith(f"agentgate-audit: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["verify"], ["verify", "x"], ["nothing"], ["witness", "--state", "s"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_large_file_is_not_read(capsys: pytest.CaptureFixture[str]):
    Path("large").write_bytes(b"1" * (MAX_LINE + 1))
    assert run(capsys, "proof", "large", "--key", "key")[2] == f"agentgate-audit: large: larger than {MAX_LINE} bytes\n"


def test_a_file_that_is_not_text(capsys: pytest.CaptureFixture[str]):
    Path("binary").write_bytes(b"\xff")
    for command in (["receipt", "binary"], ["proof", "binary"]):
        assert run(capsys, *command, "--key", "key")[0] == 2


def module(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "agentgate_audit", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(agentgate_audit.__file__).parents[1])}


def test_the_package_runs_as_a_module():
    ran = subprocess.run(module("--version"), env=environment(), capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, f"agentgate-audit {agentgate_audit.__version__}\n")


def test_a_witness_serves_and_keeps_its_key(log: LogBuilder, folder: Path):
    log.fill(5)
    request = f"old 0\n\n{log.checkpoint(3)}".encode()
    grown = f"old 3\n{''.join(b64(node) + chr(10) for node in log.tree.proof(3, 5))}\n{log.checkpoint(5)}".encode()
    keys = set()
    for body in (request, grown):
        options = ["--listen", "127.0.0.1:0", "--state", "state", "--log", "key", "--name", "witness.example/w1"]
        process = subprocess.Popen(module("witness", *options), env=environment(), stdout=subprocess.PIPE, text=True)
        assert process.stdout
        with process, process.stdout:
            keys.add(process.stdout.readline())
            port = int(re.fullmatch(r"listening on  127\.0\.0\.1:(\d+)\n", process.stdout.readline())[1])  # type: ignore[index]
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("POST", "/add-checkpoint", body)
                assert connection.getresponse().status == 200
            process.send_signal(signal.SIGKILL if body == request else signal.SIGINT)
            assert process.wait(10) == (-signal.SIGKILL if body == request else 130)
    (line,) = keys
    vkey = line.removeprefix("verifier key  ").strip()
    assert agentgate_audit.parse_key(vkey, COSIGNATURE).name == "witness.example/w1"
