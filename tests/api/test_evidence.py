"""Checkpoints, tiles, proofs and exports through the API."""

import hashlib
import json
from base64 import b64decode
from typing import Any

import pytest
from django.conf import settings

from audit.entries.personal_keys import destroy_keys
from audit.models import Cosignature
from audit.proof import exports
from audit.sequencing.sequencer import sequence
from core import clock
from core.actor import SYSTEM
from core.errors import NotAuthenticated, Throttled
from core.sending import Pieces, Place
from developers.models import ApiKey, Developer, Organization
from developers.services import suspend_organization
from tests.api.conftest import Api, Json, expect, problem, verify
from tests.audit.exported import check_line, opened, read_export, size_and_root
from tests.audit.journals import write_row
from tests.shared import cases


@pytest.fixture(autouse=True)
def _sequenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())


@pytest.fixture
def decision(tokens: Json) -> Json:
    return verify(tokens["accessToken"], resource="inbox/7", context={"ip": "203.0.113.7"})


def body_of(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


# What anyone may read


def test_before_the_first_entry_there_is_no_checkpoint(anonymous: Api) -> None:
    answer = anonymous.get("/audit/checkpoint")
    problem(answer, 404, "not_found")
    assert answer["Cache-Control"] == "no-store"


def test_the_newest_checkpoint_has_its_cosignatures(anonymous: Api) -> None:
    for size in (1, 2):
        write_row(1)
        sequence()
        Cosignature.objects.create(size=size, witness=f"w{size}", line=f"— w{size} AAAA")
    answer = anonymous.get("/audit/checkpoint")
    note = body_of(answer).decode()
    key = body_of(anonymous.get("/audit/key")).decode()
    origin, size, _ = note.split("\n", 2)
    assert (origin, size) == ("localhost:8000/api/v1/audit", "2")
    assert note.endswith("\n— w2 AAAA\n")
    assert key.startswith(f"{origin}+")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Cache-Control"] == "public, max-age=1"


def test_tiles_lead_to_the_root_of_the_checkpoint(anonymous: Api) -> None:
    write_row(600)
    sequence()
    size, root = size_and_root(body_of(anonymous.get("/audit/checkpoint")).decode())
    first, second = (body_of(anonymous.get(f"/audit/tile/0/00{number}")) for number in (0, 1))
    partial, above = (body_of(anonymous.get(f"/audit/tile/{path}")) for path in ("0/002.p/88", "1/000.p/2"))
    assert size == 600
    assert above == root_of(first) + root_of(second)
    assert hashlib.sha256(b"\1" + hashlib.sha256(b"\1" + above).digest() + root_of(partial)).digest() == root
    assert body_of(anonymous.get("/audit/tile/0/000.p/5")) == first[: 5 * 32]


def root_of(hashes: bytes) -> bytes:
    row = [hashes[start : start + 32] for start in range(0, len(hashes), 32)]
    if len(row) == 1:
        return row[0]
    half = 1 << ((len(row) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + root_of(hashes[: half * 32]) + root_of(hashes[half * 32 :])).digest()


@cases("path", ["0/000", "0/001.p/44"])
def test_tiles_can_be_cached_for_ever(anonymous: Api, path: str) -> None:
    write_row(300)
    sequence()
    answer = anonymous.get(f"/audit/tile/{path}")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.fixture
def tiles(db: None) -> None:
    write_row(300)
    sequence()


@cases(
    "path",
    [
        "0/001",  # not full yet
        "0/001.p/45",
        "0/001.p/0",
        "0/000.p/256",
        "0/000.p/05",
        "0/1",
        "0/0001",
        "0/x000/000",
        "0/x001/000",
        "00/000",
        "1/000",
        "2/000.p/1",
        "64/000.p/1",
        "999/000.p/1",
        "data/000",
        "0/x999/x999/x999/x999/x999/x999/x999/999",
        "0/..%2f000",
        "0/",
        "0/000/",
        "%00",
    ],
)
def test_other_tiles_do_not_exist(tiles: None, anonymous: Api, path: str) -> None:
    answer = anonymous.get(f"/audit/tile/{path}")
    problem(answer, 404, "not_found")
    assert answer["Cache-Control"] == "no-store"


def test_numbers_above_a_thousand_have_several_groups(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr("api.v1.evidence.Tree.tile", lambda self, *place: asked.append(place))
    problem(anonymous.get("/audit/tile/0/x001/x234/067.p/8"), 404, "not_found")
    assert asked == [(0, 1234067, 8)]


@cases("path", ["checkpoint", "key", "tile/0/000"])
def test_what_is_public_needs_no_credential_and_takes_only_get(anonymous: Api, path: str) -> None:
    write_row(256)
    sequence()
    body_of(anonymous.get(f"/audit/{path}", Authorization="Bearer wrong"))
    problem(anonymous.post(f"/audit/{path}"), 405, "method_not_allowed")


# The proof of one entry


def test_the_proof_shows_that_the_checkpoint_covers_the_entry(developer: Api, ada: Api, decision: Json) -> None:
    sequence()
    for reader in (developer, ada):
        proof = expect(200, reader.get(f"/audit/{decision['auditId']}/proof"))
        check_line(proof, *size_and_root(proof["checkpoint"]))
        assert json.loads(proof["entry"])["record"]["id"] == decision["auditId"]
        assert all(len(b64decode(one)) == 32 for one in proof["proof"])


def test_readers_see_their_own_numbers_only(developer: Api, ada: Any, decision: Json) -> None:
    sequence()
    own = expect(200, ada.get(f"/audit/{decision['auditId']}/proof"))
    organizations = expect(200, developer.get(f"/audit/{decision['auditId']}/proof"))
    assert opened(own, "streams").keys() == {"person", "connection"}
    assert [name.partition(":")[0] for name in opened(organizations, "streams")] == ["organization"]
    assert opened(own, "personal").keys() == {"resource", "call"}
    assert opened(organizations, "personal").keys() == {"ip", "resource"}


def test_the_proof_waits_for_a_checkpoint(developer: Api, ada: Api, decision: Json) -> None:
    for reader in (developer, ada):
        answer = reader.get(f"/audit/{decision['auditId']}/proof")
        problem(answer, 409, "not_sequenced")
        assert answer["Retry-After"] == "1"


@cases("is_sequenced", [False, True])
def test_entries_of_others_have_no_proof(rival: Api, bob: Api, decision: Json, is_sequenced: bool) -> None:
    if is_sequenced:
        sequence()
    for reader in (rival, bob):
        problem(reader.get(f"/audit/{decision['auditId']}/proof"), 404, "not_found")


@cases("entry_id", ["log_0", "log_" + "0" * 32, "usr_1", "%00"])
def test_unknown_entries_have_no_proof(developer: Api, entry_id: str) -> None:
    problem(developer.get(f"/audit/{entry_id}/proof"), 404, "not_found")


def test_a_proof_requires_a_credential(anonymous: Api, decision: Json) -> None:
    problem(anonymous.get(f"/audit/{decision['auditId']}/proof"), 401, "not_authenticated")
    problem(anonymous.get(f"/audit/{decision['auditId']}/proof", X_Api_Key="ag_wrong"), 401, "not_authenticated")


def test_a_proof_of_an_erased_entry_has_no_personal_data(ada: Any, decision: Json) -> None:
    sequence()
    destroy_keys([ada.id])
    proof = expect(200, ada.get(f"/audit/{decision['auditId']}/proof"))
    check_line(proof, *size_and_root(proof["checkpoint"]))
    assert "personal" not in proof["disclosures"]


# Exports


def test_a_person_exports_their_history(ada: Any, decision: Json) -> None:
    answer = ada.get("/users/me/audit-export")
    exported = read_export(body_of(answer))
    assert answer["Content-Type"] == "application/jsonl"
    assert answer["Cache-Control"] == "no-store"
    assert answer["Content-Disposition"].startswith('attachment; filename="agentgate-person-')
    assert exported.header["stream"] == {"kind": "person", "id": ada.id}
    assert exported.numbers == list(range(1, len(exported.entries) + 1))
    assert [record["event"] for record in exported.records][-2:] == ["token.verify", "audit.exported"]
    assert {record["userId"] for record in exported.records} == {ada.id}


def test_a_person_exports_a_connection(ada: Any, tokens: Json, decision: Json) -> None:
    exported = read_export(body_of(ada.get(f"/users/me/consents/{tokens['consentId']}/evidence")))
    assert exported.header["stream"] == {"kind": "connection", "id": tokens["consentId"]}
    events = [record["event"] for record in exported.records]
    assert events == ["consent.requested", "consent.approved", "token.issued", "token.verify", "audit.exported"]
    assert opened(exported.entries[3], "streams")["connection"]["allowed"] == 1
    assert exported.records[-1]["agentId"] == exported.records[0]["agentId"]
    assert exported.entries[0]["disclosures"].keys() == {"streams"}  # no user was known yet


def test_a_developer_exports_the_organizations_log(developer: Api, agent: Json, decision: Json) -> None:
    exported = read_export(body_of(developer.get("/audit/export")))
    assert exported.header["stream"]["kind"] == "organization"
    assert exported.records[-1]["actor"]["kind"] == "developer"
    assert exported.numbers == list(range(1, len(exported.entries) + 1))


@cases("ends_key", [True, False])
def test_an_export_breaks_off_when_its_reader_leaves_or_the_key_ends(
    developer: Api, agent: Json, decision: Json, ends_key: bool
) -> None:
    pieces = developer.get("/audit/export").streaming_content
    assert b'"format"' in next(pieces)
    if ends_key:
        ApiKey.objects.update(expires_at=clock.now())
    else:
        Developer.objects.update(ended_at=clock.now())
    with pytest.raises(NotAuthenticated):
        next(pieces)


def test_a_period_is_exported_with_its_neighbors(developer: Api, decision: Json) -> None:
    times = [record["timestamp"] for record in read_export(body_of(developer.get("/audit/export"))).records]
    exported = read_export(body_of(developer.get(f"/audit/export?from={times[2]}&to={times[3]}")))
    assert (exported.header["from"], exported.header["to"]) == (times[2], times[3])
    assert [record["timestamp"] for record in exported.records[:-1]] == times[1:4]


@cases("query", ["from=yesterday", "to=2026-01-01", "limit=3", "to=2026-01-01T00:00:00Z&from=2026-01-01T00:00:01Z"])
def test_an_invalid_period_is_reported(developer: Api, ada: Api, query: str) -> None:
    field = query.partition("=")[0]
    problem(developer.get(f"/audit/export?{query}"), 400, "validation_failed", field)
    problem(ada.get(f"/users/me/audit-export?{query}"), 400, "validation_failed", field)


def test_exports_are_for_their_owner(anonymous: Api, developer: Api, ada: Any, bob: Any, tokens: Json) -> None:
    own, connection = f"/users/{ada.id}/audit-export", f"/users/me/consents/{tokens['consentId']}/evidence"
    for path in (own, connection, "/audit/export"):
        problem(anonymous.get(path), 401, "not_authenticated")
    for path in (own, connection):
        problem(developer.get(path), 403, "forbidden")
        problem(bob.get(path), 404, "not_found")
    problem(ada.get(f"/users/me/consents/cns_{'0' * 32}/evidence"), 404, "not_found")
    problem(ada.get("/audit/export"), 403, "forbidden")


def test_an_export_without_a_sequencer_is_refused(ada: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: None)
    monkeypatch.setattr(exports, "WAIT_SECONDS", 0.05)
    answer = ada.get("/users/me/audit-export")
    assert "sequencer" in problem(answer, 503, "checkpoint_late")["detail"]
    assert answer["Retry-After"] == "2"


def test_exports_are_throttled_per_account(ada: Api, bob: Api, developer: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "THROTTLE_EXPORT", "1/hour")
    for reader, path in ((ada, "/users/me/audit-export"), (developer, "/audit/export")):
        body_of(reader.get(path))
        problem(reader.get(path), 429, "throttled")
    body_of(bob.get("/users/me/audit-export"))


def test_two_exports_are_sent_to_an_account_at_a_time(ada: Api, bob: Api) -> None:
    path = "/users/me/audit-export"
    first, second = ada.get(path), ada.get(path)

    answer = ada.get(path)
    problem(answer, 429, "throttled")
    assert answer["Retry-After"] == "5"
    body_of(bob.get(path))

    body_of(first)
    body_of(ada.get(path))
    body_of(second)


def test_a_response_that_is_closed_before_it_is_sent_gives_back_its_place_once() -> None:
    first, second = (Pieces(Place("user:usr_1"), iter([b"a"])) for _ in range(2))
    for _ in range(2):
        first.close()
    again = Place("user:usr_1")
    with pytest.raises(Throttled):
        Place("user:usr_1")
    again.close()
    second.close()


def test_refused_exports_are_not_being_sent(ada: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(exports, "pause", lambda seconds: None)
        patch.setattr(exports, "WAIT_SECONDS", 0.0)
        for _ in range(3):
            problem(ada.get("/users/me/audit-export"), 503, "checkpoint_late")
    body_of(ada.get("/users/me/audit-export"))


def test_a_suspended_organization_gets_no_evidence(developer: Api, decision: Json) -> None:
    suspend_organization(
        actor=SYSTEM,
        organization=Organization.objects.get(developers__user__email="acme@example.com"),
        reason="Fraud reports.",
    )
    problem(developer.get("/audit/export"), 403, "organization_suspended")
    problem(developer.get(f"/audit/{decision['auditId']}/proof"), 403, "organization_suspended")
