"""What a witness cosigns and refuses, in the statuses of C2SP tlog-witness."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_builder import LogBuilder, Signer, Tree, b64

from agentgate_audit import Unusable, VerifierKey, Witness, open_state, parse_key, verify_cosignature
from agentgate_audit.note import COSIGNATURE, ED25519, parse_note
from agentgate_audit.witness import Answer, Head
from agentgate_audit.witness_state import State

NOW = 1_780_000_000


def make_log(size: int, seed: int = 1, change: int | None = None) -> LogBuilder:
    log = LogBuilder(Signer(seed=seed))
    log.leaves = [b"forged" if number == change else str(number).encode() for number in range(size)]
    log.tree = Tree(log.leaves)
    return log


LOG = make_log(300)
FORK = make_log(300, change=3)


@pytest.fixture
def state(tmp_path: Path) -> Any:
    state = open_state(tmp_path / "state.json", "witness.example/w1", "unused")
    yield state
    state.close()


@pytest.fixture
def witness(state: State, key: VerifierKey) -> Witness:
    return Witness(state, [key], clock=lambda: NOW + 0.9)


def body(old: int, new: int, log: LogBuilder = LOG, prover: LogBuilder | None = None) -> bytes:
    proof = "".join(f"{b64(node)}\n" for node in (prover or log).tree.proof(old, new))
    return f"old {old}\n{proof}\n{log.checkpoint(new)}".encode()


def conflict(size: int) -> Answer:
    return Answer(409, f"{size}\n", "text/x.tlog.size")


def test_a_growing_log_is_cosigned(witness: Witness, state: State):
    for old, new in [(0, 5), (5, 5), (5, 6), (6, 256), (256, 300)]:
        answer = witness.add_checkpoint(body(old, new))
        assert answer.status == 200
        assert answer.body.startswith("— witness.example/w1 ")
        signed = parse_note(LOG.checkpoint(new) + answer.body)
        assert verify_cosignature(signed, parse_key(str(state.key), COSIGNATURE)) == NOW
        assert state.head(LOG.signer.name) == Head(new, LOG.tree.mth(0, new))


def test_the_first_checkpoint_may_have_any_size(witness: Witness):
    assert witness.add_checkpoint(body(0, 123)).status == 200


def test_an_empty_log_is_cosigned_with_the_root_of_nothing(witness: Witness):
    assert witness.add_checkpoint(body(0, 0)).status == 200
    lie = f"{LOG.signer.name}\n0\n{b64(bytes(32))}\n"
    assert witness.add_checkpoint(f"old 0\n\n{lie}\n{LOG.signer.sign(lie)}".encode()).status == 422


def test_an_unknown_log_is_404(witness: Witness):
    other = make_log(5)
    other.signer = Signer("other.example/log")
    assert witness.add_checkpoint(body(0, 5, other)).status == 404


def test_a_checkpoint_by_another_key_is_403(witness: Witness):
    assert witness.add_checkpoint(body(0, 5, make_log(5, seed=2))).status == 403


def test_a_false_signature_is_403(witness: Witness):
    forged = LOG.checkpoint(5).replace("time 2026", "time 2027")
    assert witness.add_checkpoint(f"old 0\n\n{forged}".encode()).status == 403


def test_one_of_several_keys_is_enough(state: State, key: VerifierKey):
    second = parse_key(Signer(seed=2).vkey, ED25519)
    witness = Witness(state, [key, second])

    assert witness.add_checkpoint(body(0, 5)).status == 200
    assert witness.add_checkpoint(body(5, 9, make_log(9, seed=2))).status == 200


def test_a_larger_old_size_is_400(witness: Witness):
    assert witness.add_checkpoint(body(0, 9)).status == 200
    assert witness.add_checkpoint(b"old 9\n\n" + LOG.checkpoint(5).encode()).status == 400


@pytest.mark.parametrize(("old", "new"), [(0, 9), (4, 9), (6, 9), (0, 5), (4, 5)])
def test_another_old_size_is_409_with_the_known_size(old: int, new: int, witness: Witness):
    witness.add_checkpoint(body(0, 5))
    assert witness.add_checkpoint(body(old, new)) == conflict(5)


def test_a_rollback_is_409(witness: Witness):
    witness.add_checkpoint(body(0, 9))
    assert witness.add_checkpoint(body(0, 5)) == conflict(9)
    assert witness.add_checkpoint(body(5, 5)) == conflict(9)


def test_a_fork_of_the_same_size_is_409(witness: Witness):
    witness.add_checkpoint(body(0, 9))
    assert witness.add_checkpoint(body(9, 9, FORK)) == conflict(9)


@pytest.mark.parametrize("prover", [LOG, FORK])
def test_a_fork_that_grew_is_422(prover: LogBuilder, witness: Witness, state: State):
    witness.add_checkpoint(body(0, 9))
    assert witness.add_checkpoint(body(9, 20, FORK, prover)).status == 422
    assert state.head(LOG.signer.name) == Head(9, LOG.tree.mth(0, 9))
    assert witness.add_checkpoint(body(9, 20)).status == 200


@pytest.mark.parametrize("old", [0, 9])
def test_a_proof_where_none_is_due_is_422(old: int, witness: Witness):
    if old:
        witness.add_checkpoint(body(0, old))
    request = f"old {old}\n{b64(bytes(32))}\n\n{LOG.checkpoint(9)}".encode()
    assert witness.add_checkpoint(request).status == 422


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\n\n",
        b"old 0\n",
        b"old 0\n\n",
        b"\xff",
        LOG.checkpoint(5).encode(),
        b"old 00\n\n" + LOG.checkpoint(5).encode(),
        b"old -1\n\n" + LOG.checkpoint(5).encode(),
        b"old  0\n\n" + LOG.checkpoint(5).encode(),
        b"old 0\r\n\r\n" + LOG.checkpoint(5).encode(),
        b"Old 0\n\n" + LOG.checkpoint(5).encode(),
        b"old 0\n\n\n" + LOG.checkpoint(5).encode(),
        b"old 0\nAAAA\n\n" + LOG.checkpoint(5).encode(),
        b"old 0\n" + b64(bytes(32)).encode() * 2 + b"\n\n" + LOG.checkpoint(5).encode(),
        b"old 0\n" + (b64(bytes(32)).encode() + b"\n") * 64 + b"\n" + LOG.checkpoint(5).encode(),
        b"old 0\n\n" + LOG.checkpoint(5).encode()[:-1],
        b"old 0\n\n" + LOG.checkpoint(5).encode() + b"\n",
    ],
)
def test_a_malformed_request_is_400(request_: bytes, witness: Witness):
    assert witness.add_checkpoint(request_).status == 400


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from([LOG, FORK])), max_size=12))
def test_whatever_is_asked_no_two_cosigned_trees_contradict(asked: list[tuple[int, int, LogBuilder]]):
    state = State(Path(os.devnull), "w", Signer("w").private, {})
    state._write = lambda heads: None  # type: ignore[method-assign]
    witness = Witness(state, [parse_key(LOG.signer.vkey, ED25519)])
    cosigned: list[tuple[int, LogBuilder]] = []
    for old, new, log in asked:
        if witness.add_checkpoint(body(min(old, new), new, log)).status == 200:
            cosigned.append((new, log))
    assert [size for size, _ in cosigned] == sorted(size for size, _ in cosigned)
    # The logs are equal up to size 3 and differ after it.
    assert len({id(log) for size, log in cosigned if size > 3}) <= 1


def test_concurrent_requests_cosign_one_fork_only(witness: Witness):
    witness.add_checkpoint(body(0, 3))
    answers: dict[str, list[int]] = {"log": [], "fork": []}
    barrier = threading.Barrier(8)

    def ask(name: str, log: LogBuilder) -> None:
        barrier.wait()
        answers[name].append(witness.add_checkpoint(body(3, 9, log)).status)

    pairs = [("log", LOG), ("fork", FORK)] * 4
    threads = [threading.Thread(target=ask, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers["log"] + answers["fork"]) == [200, *[409] * 7]


def test_the_state_outlives_the_process(tmp_path: Path, key: VerifierKey):
    path = tmp_path / "state.json"
    state = open_state(path, None, "host/witness")
    assert Witness(state, [key]).add_checkpoint(body(0, 9)).status == 200
    state.close()

    again = open_state(path, "host/witness", "unused")
    assert again.key == state.key
    assert Witness(again, [key]).add_checkpoint(body(0, 9, FORK)) == conflict(9)
    assert Witness(again, [key]).add_checkpoint(body(9, 20)).status == 200
    again.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(item.name for item in tmp_path.iterdir()) == ["state.json", "state.json.lock"]


def test_what_is_cosigned_is_on_the_disk_first(state: State, key: VerifierKey, monkeypatch: pytest.MonkeyPatch):
    """A crash at any step of writing leaves a state with which no fork can be cosigned."""
    steps: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name: (steps.append(name), real(*args))[1])
    monkeypatch.setattr("agentgate_audit.witness.cosign", lambda *args: steps.append("sign"))
    Witness(state, [key]).add_checkpoint(body(0, 9))

    assert steps == ["fsync", "replace", "fsync", "sign"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_nothing_is_cosigned_if_the_state_cannot_be_stored(
    step: str, witness: Witness, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    witness.add_checkpoint(body(0, 5))

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError, match="No space left"):
            witness.add_checkpoint(body(5, 9))
    assert state.head(LOG.signer.name) == Head(5, LOG.tree.mth(0, 5))
    assert json.loads((tmp_path / "state.json").read_text())["logs"][LOG.signer.name]["size"] == 5
    assert sorted(item.name for item in tmp_path.iterdir()) == ["state.json", "state.json.lock"]
    assert witness.add_checkpoint(body(5, 9)).status == 200


def test_two_witnesses_cannot_share_a_state(state: State, tmp_path: Path):
    with pytest.raises(Unusable, match="another witness uses this file"):
        open_state(tmp_path / "state.json", None, "w")


def test_a_state_belongs_to_a_name(tmp_path: Path):
    open_state(tmp_path / "state", "one", "unused").close()
    with pytest.raises(Unusable, match="belongs to the witness one, and not to two"):
        open_state(tmp_path / "state", "two", "unused")
    for name in ("a b", "a+b", ""):
        with pytest.raises(Unusable, match="name must not contain spaces"):
            open_state(tmp_path / "new", name, "")


def test_a_state_that_others_can_read_is_refused(tmp_path: Path):
    path = tmp_path / "state"
    open_state(path, "w", "unused").close()
    path.chmod(0o640)
    with pytest.raises(Unusable, match="other users can read it"):
        open_state(path, None, "w")


SEED = base64.b64encode(bytes(32)).decode()
HEAD = {"size": 1, "root": SEED}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps({"name": "w", "privateKey": "AAAA", "logs": {}}),
        json.dumps({"name": "w", "privateKey": SEED, "logs": []}),
        json.dumps({"name": "w w", "privateKey": SEED, "logs": {}}),
        json.dumps({"name": "w", "privateKey": SEED, "logs": {"a": {"size": 1}}}),
        json.dumps({"name": "w", "privateKey": SEED, "logs": {"a": {**HEAD, "size": -1}}}),
        json.dumps({"name": "w", "privateKey": SEED, "logs": {"a": {**HEAD, "root": "AAAA"}}}),
    ],
)
def test_a_damaged_state_is_refused(content: str, tmp_path: Path):
    """Starting over would let the log fork."""
    path = tmp_path / "state"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(Unusable, match=str(path)):
        open_state(path, None, "w")
    assert path.read_text() == content


def test_a_state_that_cannot_be_written_is_unusable(tmp_path: Path):
    with pytest.raises(Unusable, match="No such file or directory"):
        open_state(tmp_path / "missing" / "state", None, "w")
