"""What the server gives out holds before agentgate-audit, which shares no code with it, and before Go's libraries."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from audit.entries.personal_keys import destroy_keys
from audit.proof import exports
from audit.proof.proofs import Tree
from audit.sequencing.sequencer import sequence
from audit.signing.witnesses import Submitter
from audit.signing.witnesses import Witness as WitnessAddress
from tests.api.conftest import Api, Json, expect, new_agent, new_developer, new_user, tokens_for, verify
from tests.api.test_evidence import body_of
from tests.api.test_verify import SERVER
from tests.audit.journals import write_row
from tests.constants import basic
from tests.sdk.go_tools import check_with_go
from tests.verifier import (
    ED25519,
    Broken,
    Summary,
    Unusable,
    VerifierKey,
    Witness,
    WitnessServer,
    check_consistency,
    open_checkpoint,
    open_source,
    open_state,
    parse_key,
    parse_limit,
    parse_spending,
    verify_export,
    verify_proof,
)

AMOUNTS = ("12.5", "1.25", "0.00000001", "100")


@pytest.fixture(autouse=True)
def _sequenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())


@pytest.fixture(scope="module")
def history(developer: Api, ada: Api, bob: Api, agent: Json) -> Json:
    """Two users' connections among entries of others, with amounts and denials. The first user's ends."""
    write_row(5)
    tokens = tokens_for(agent, ada)
    others = tokens_for(agent, bob)
    for number, value in enumerate(AMOUNTS):
        context = {"amount": {"value": value, "currency": "EUR"}, "ip": "203.0.113.7", "note": f"é “{number}”"}
        verify(tokens["accessToken"], resource="inbox/7", context=context)
        verify(others["accessToken"])
        verify(tokens["accessToken"], "payments:charge", context=context)
    expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/revoke"))
    verify(tokens["accessToken"])
    return tokens


@pytest.fixture(scope="module")
def key(history: Json) -> VerifierKey:
    sequence()
    return parse_key(body_of(Api().get("/audit/key")).decode(), ED25519)


def check(folder: Path, answer: Any, key: VerifierKey, **options: Any) -> Summary:
    path = folder / "export.jsonl"
    path.write_bytes(body_of(answer))
    return verify_export(path, key, **options)


def test_a_persons_history_holds(ada: Any, bob: Any, key: VerifierKey, tmp_path: Path) -> None:
    limits = {"limits": [parse_limit("4/3600")], "spendings": [parse_spending("113.75000001/EUR/3600")]}
    own = check(tmp_path, ada.get("/users/me/audit-export"), key, **limits)
    assert (own.first, own.decisions) == (1, 2 * len(AMOUNTS) + 1)
    assert check(tmp_path, bob.get("/users/me/audit-export"), key).decisions == len(AMOUNTS)
    for limit in ({"limits": [parse_limit("3/3600")]}, {"spendings": [parse_spending("113.75/EUR/3600")]}):
        with pytest.raises(Broken, match=r"does not allow$"):
            check(tmp_path, ada.get("/users/me/audit-export"), key, **limit)


def test_a_connection_holds_also_without_its_personal_data(
    ada: Any, history: Json, key: VerifierKey, tmp_path: Path
) -> None:
    path = f"/users/me/consents/{history['consentId']}/evidence"
    spendings = [parse_spending("113.75000001/EUR/3600")]
    assert check(tmp_path, ada.get(path), key, spendings=spendings).decisions == 2 * len(AMOUNTS) + 1
    destroy_keys([ada.id])
    assert check(tmp_path, ada.get(path), key, spendings=spendings).decisions == 2 * len(AMOUNTS) + 1


def test_an_organizations_log_holds(developer: Api, key: VerifierKey, tmp_path: Path) -> None:
    assert check(tmp_path, developer.get("/audit/export"), key).decisions == 3 * len(AMOUNTS) + 1


def pause(ada: Any, consent: str) -> None:
    expect(200, ada.post(f"{consent}/pause"))


def pause_all(ada: Any, consent: str) -> None:
    expect(200, ada.post("/users/me/agents/pause"))


def narrow(ada: Any, consent: str) -> None:
    expect(200, ada.patch(consent, {"removeScopes": ["email:read"]}))


STOPPED = [
    (pause, "agent.paused", ("audit-export", "evidence", "export")),
    (pause_all, "agents.paused", ("audit-export",)),
    (narrow, "consent.narrowed", ("audit-export", "evidence", "export")),
]


@pytest.mark.parametrize(("stop", "event", "seen_in"), STOPPED)
def test_a_forged_decision_after_a_stop_of_the_user_is_found(
    stop: Callable[[Any, str], None],
    event: str,
    seen_in: tuple[str, ...],
    agent: Json,
    ada: Any,
    developer: Api,
    key: VerifierKey,
    tmp_path: Path,
) -> None:
    tokens = tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
    consent = f"/users/me/consents/{tokens['consentId']}"
    stop(ada, consent)
    verify(tokens["accessToken"])
    exports = [(ada, "/users/me/audit-export"), (ada, f"{consent}/evidence"), (developer, "/audit/export")]
    for reader, path in exports:
        assert check(tmp_path, reader.get(path), key).decisions
    own = Agent.objects.get(pk=agent["id"]).organization_id
    forged = {"user_id": ada.id, "agent_id": agent["id"], "consent_id": tokens["consentId"], "scopes": ["email:read"]}
    write_row(organization_id=own, **forged)
    for reader, path in exports:
        if path.rpartition("/")[2] in seen_in:
            with pytest.raises(Broken, match=f": allowed after {event} at index "):
                check(tmp_path, reader.get(path), key)
        else:
            assert check(tmp_path, reader.get(path), key).decisions


def test_pauses_that_were_lifted_hold(agent: Json, ada: Any, developer: Api, key: VerifierKey, tmp_path: Path) -> None:
    tokens = tokens_for(agent, ada)
    pause(ada, f"/users/me/consents/{tokens['consentId']}")
    pause_all(ada, "")
    expect(200, ada.post("/users/me/agents/resume"))
    assert not verify(tokens["accessToken"])["allowed"]
    tokens = tokens_for(agent, ada)
    assert not verify(tokens["accessToken"])["allowed"]
    expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/resume"))
    assert verify(tokens["accessToken"])["allowed"]
    for end in ("pause", "revoke"):
        expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/{end}"))
    assert verify(tokens_for(agent, ada)["accessToken"])["allowed"]
    for reader, path in ((ada, "/users/me/audit-export"), (developer, "/audit/export")):
        assert check(tmp_path, reader.get(path), key).decisions


def test_a_scope_that_was_taken_back_and_granted_again_holds(
    agent: Json, ada: Any, developer: Api, key: VerifierKey, tmp_path: Path
) -> None:
    tokens = tokens_for(agent, ada, requestedScopes=["email:read", "email:send"])
    assert verify(tokens["accessToken"])["allowed"]
    narrow(ada, f"/users/me/consents/{tokens['consentId']}")
    assert not verify(tokens["accessToken"])["allowed"]
    assert verify(tokens["accessToken"], "email:send")["allowed"]
    again = tokens_for(agent, ada)
    assert verify(again["accessToken"])["allowed"]
    for reader, path in ((ada, "/users/me/audit-export"), (developer, "/audit/export")):
        assert check(tmp_path, reader.get(path), key).decisions


def test_every_period_holds(ada: Any, developer: Api, key: VerifierKey, tmp_path: Path) -> None:
    lines = body_of(ada.get("/users/me/audit-export")).splitlines()[1:-1]
    times = [json.loads(json.loads(line)["entry"])["record"]["timestamp"] for line in lines]
    for path in ("/users/me/audit-export", "/audit/export"):
        reader = ada if "users" in path else developer
        for query in (f"to={times[3]}", f"from={times[2]}&to={times[5]}"):
            assert check(tmp_path, reader.get(f"{path}?{query}"), key).entries > 1
        for query in ("from=2099-01-01T00:00:00Z", "to=2001-01-01T00:00:00Z"):
            assert check(tmp_path, reader.get(f"{path}?{query}"), key).entries == 2


SPELLINGS = [
    ({"value": 1000, "currency": "EUR"}, False),
    ({"value": 1e3, "currency": "EUR"}, False),
    ({"value": "10.00", "currency": "EUR", "multiplier": 100}, True),
    ({"value": 1000.5, "currency": "EUR"}, True),
    ({"value": "1000.0", "currency": "eur"}, True),
    ({"value": "+1000", "currency": "EUR"}, True),
    ({"value": "1e3", "currency": "EUR"}, True),
    ({"value": "1000.123456789", "currency": "EUR"}, True),
    (1000, True),
]


@pytest.mark.parametrize(("amount", "is_unreadable"), SPELLINGS)
def test_no_spelling_of_an_amount_hides_what_was_spent(
    ada: Any, agent: Json, anonymous: Api, amount: Any, is_unreadable: bool, tmp_path: Path
) -> None:
    tokens = tokens_for(agent, ada)
    assert verify(tokens["accessToken"], context={"amount": amount})["allowed"] is True
    sequence()
    key = parse_key(body_of(anonymous.get("/audit/key")).decode(), ED25519)
    path = f"/users/me/consents/{tokens['consentId']}/evidence"
    assert check(tmp_path, ada.get(path), key).unreadable == is_unreadable
    with pytest.raises(Unusable if is_unreadable else Broken, match=r"spending cannot be checked|1000 EUR spent"):
        check(tmp_path, ada.get(path), key, spendings=[parse_spending("1.00/EUR/3600")])


def test_introspections_hold_that_were_before_and_between_and_after_stops(anonymous: Api, tmp_path: Path) -> None:
    developer, user = new_developer("mail@example.com"), new_user("eve@example.com")
    agent = new_agent(developer)
    server = expect(201, developer.post("/resource-servers", SERVER))
    tokens = tokens_for(agent, user, resource=server["identifier"])

    def is_live() -> bool:
        form, headers = f"token={tokens['accessToken']}", {"Authorization": basic(server["id"], server["secret"])}
        sent = Client().post("/oauth/introspect", form, "application/x-www-form-urlencoded", headers=headers)
        return bool(expect(200, sent)["active"])

    found = [is_live()]
    for status in ("suspended", "active"):
        expect(200, developer.patch(f"/agents/{agent['id']}", {"status": status}))
        found.append(is_live())
    expect(200, user.post(f"/users/me/consents/{tokens['consentId']}/revoke"))
    assert [*found, is_live()] == [True, False, True, False]
    sequence()
    key = parse_key(body_of(anonymous.get("/audit/key")).decode(), ED25519)
    for answer in (user.get("/users/me/audit-export"), developer.get("/audit/export")):
        assert check(tmp_path, answer, key).decisions == 0


def test_an_entry_that_is_left_out_is_named(ada: Any, key: VerifierKey, tmp_path: Path) -> None:
    lines = body_of(ada.get("/users/me/audit-export")).splitlines(keepends=True)
    (tmp_path / "export.jsonl").write_bytes(b"".join(lines[:4] + lines[5:]))
    with pytest.raises(Broken, match=r"^index \d+: number 4 of stream person is missing$"):
        verify_export(tmp_path / "export.jsonl", key)


def test_proofs_hold_also_before_go(
    developer: Api, ada: Any, key: VerifierKey, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = body_of(ada.get("/users/me/audit-export")).splitlines()[1:-1]
    ids = [json.loads(json.loads(line)["entry"])["record"]["id"] for line in lines]
    for reader, entry_id in [(ada, ids[0]), (ada, ids[4]), (ada, ids[-1]), (developer, ids[4])]:
        proof = expect(200, reader.get(f"/audit/{entry_id}/proof"))
        entry, _ = verify_proof(proof, key)
        assert entry.record["id"] == entry_id
        (tmp_path / f"proof-{entry_id}").write_text(json.dumps(proof))
    (tmp_path / "key").write_text(str(key))
    ran = check_with_go(go_folder(tmp_path_factory), tmp_path / "key", "proof", *tmp_path.glob("proof-*"))
    assert ran.returncode == 0, ran.stderr


def test_the_log_is_consistent_also_before_go(
    anonymous: Api, key: VerifierKey, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    notes = []
    for count in (0, 7, 300):
        write_row(count)
        sequence()
        notes.append(body_of(anonymous.get("/audit/checkpoint")).decode())
    old, _, new = (open_checkpoint(note, key) for note in notes)
    for level, number in ((0, 0), (0, 1), (1, 0)):
        width = min(256, (new.size >> (8 * level)) - 256 * number)
        name = f"tile/{level}/00{number}" + (f".p/{width}" if width < 256 else "")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body_of(anonymous.get(f"/audit/{name}")))
    check_consistency(old, new, open_source(str(tmp_path)))

    proof = Tree(new.size).consistency_proof(old.size)
    contents = {"key": str(key), "old": notes[0], "new": notes[-1]}
    contents["proof"] = "".join(f"{b64encode(one).decode()}\n" for one in proof)
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    files = [tmp_path / name for name in ("old", "new", "proof")]
    ran = check_with_go(go_folder(tmp_path_factory), tmp_path / "key", "consistency", *files)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def witness(key: VerifierKey, tmp_path: Path) -> Iterator[tuple[str, VerifierKey]]:
    """The URL and the key of a witness of the package that knows this log."""
    state = open_state(tmp_path / "state.json", "witness.example/w1", "unused")
    with WitnessServer(("127.0.0.1", 0), Witness(state, [key])) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", state.key
        server.shutdown()
        thread.join()
    state.close()


def test_the_packages_witness_cosigns_what_the_server_submits(
    ada: Any, key: VerifierKey, witness: tuple[str, VerifierKey], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, witness_key = witness
    submitter = Submitter(WitnessAddress(url, str(witness_key)))

    def sequence_and_submit(seconds: float) -> None:
        sequence()
        submitter.submit()

    monkeypatch.setattr(exports, "pause", sequence_and_submit)
    for _ in range(3):
        summary = check(tmp_path, ada.get("/users/me/audit-export"), key, witnesses=[witness_key])
        assert len(summary.cosigned) == 1
    stranger = VerifierKey("witness.example/w2", witness_key.kind, witness_key.public)
    with pytest.raises(Broken, match=r"^last line: is not cosigned by witness.example/w2 with key "):
        check(tmp_path, ada.get("/users/me/audit-export"), key, witnesses=[stranger])


def go_folder(factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all tests of this process, because building takes a while."""
    folder = factory.getbasetemp() / "go"
    folder.mkdir(exist_ok=True)
    return folder
