"""Records are complete, canonical and made without a database."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
import rfc8785

from audit.entries import parts
from audit.entries.drafts import Draft, prepare
from audit.entries.journal import encode_entry
from audit.entries.records import Opening, Record, finish, open_personal
from audit.events import Event, Outcome
from core.actor import SYSTEM, Actor
from tests.shared import cases

NOW = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
ACTOR = Actor("service", "res_1", ip="203.0.113.7", user_agent="tests/1.0", request_id="req-12345678")


class Reason(StrEnum):
    REVOKED = "token_revoked"


FULL = Draft(
    event=Event.TOKEN_VERIFY,
    actor=ACTOR,
    outcome=Outcome.DENIED,
    organization_id="org_2",
    service_organization_ids=["org_1", "org_1"],
    user_id="usr_1",
    agent_id="agt_1",
    consent_id="cns_1",
    policy_id="pol_1",
    policy_organization_id="org_1",
    reason=Reason.REVOKED,
    action="email:send",
    scopes=("email:send", "email:read"),
    resource="mailbox of Zoë",
    metadata={"tokenId": "tok_1", "reason": "line\nbreak", "amount": 1.5, "ruleType": "hours", "policyName": "Night"},
    personal={"context": {"ip": "198.51.100.1"}, "amount": {"currency": "EUR", "value": "12.50"}},
)
EMPTY = Draft(event=Event.TOKEN_REVOKED, actor=SYSTEM)


def make(*drafts: Draft, at: datetime = NOW) -> list[Record]:
    return [finish(encode_entry(prepared)) for prepared in prepare(drafts, at)]


def root(disclosures: list[bytes]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in disclosures)).hexdigest()


def test_a_record_contains_everything_that_all_readers_may_see() -> None:
    (record,) = make(FULL)
    content = json.loads(record.body)
    del content["personal"], content["withheld"]
    assert content == {
        "v": 1,
        "id": record.id,
        "timestamp": "2026-03-01T12:00:00.000005Z",
        "event": "token.verify",
        "outcome": "denied",
        "reason": "token_revoked",
        "organizationId": "org_2",
        "serviceOrganizationIds": ["org_1"],
        "actor": {"kind": "service", "id": "res_1"},
        "userId": "usr_1",
        "agentId": "agt_1",
        "consentId": "cns_1",
        "action": "email:send",
        "scopes": ["email:send", "email:read"],
        "requestId": None,
        "metadata": {"tokenId": "tok_1", "reason": None, "amount": 1.5, "ruleType": "hours"},
    }


def test_personal_data_is_behind_a_root() -> None:
    (record,) = make(FULL)
    secret, personal = open_personal(record.personal)
    assert personal == {
        "ip": "203.0.113.7",
        "userAgent": "tests/1.0",
        "resource": "mailbox of Zoë",
        "amount": {"currency": "EUR", "value": "12.50"},
        "reason": "line break",
        "requestId": "req-12345678",
        "call": {"context": {"ip": "198.51.100.1"}},
    }
    assert json.loads(record.body)["personal"] == root(parts.disclosures(secret, personal))
    for text in ("203.0.113.7", "tests/1.0", "Zoë", "198.51.100.1", "12.50", "line break", "12345678"):
        assert text not in record.body.decode()


@cases("event", [Event.USER_DEACTIVATED, Event.CONSENT_REVOKED])
@cases(("user_id", "reason"), [("usr_1", "account_reclaimed"), (None, "Ada called.")])
def test_reasons_of_the_server_and_about_no_user_are_in_the_record(event: Event, user_id: Any, reason: str) -> None:
    own = SYSTEM._replace(request_id="req_" + 32 * "a")
    (record,) = make(EMPTY._replace(event=event, actor=own, user_id=user_id, metadata={"reason": reason}))
    content = json.loads(record.body)
    assert (content["metadata"]["reason"], content["requestId"]) == (reason, own.request_id)
    assert record.personal == b""


def test_a_typed_reason_is_in_no_part_that_stays() -> None:
    (record,) = make(EMPTY._replace(event=Event.CONSENT_REVOKED, user_id="usr_1", metadata={"reason": "Ada called."}))
    assert "Ada" not in f"{record.body!r}{record.opening.withheld}"
    assert open_personal(record.personal)[1] == {"reason": "Ada called."}


def test_a_policy_is_behind_a_root() -> None:
    (record,) = make(FULL)
    policy = {"policyId": "pol_1", "policyOrganizationId": "org_1", "policyName": "Night"}
    assert record.opening.withheld == {"policy": policy}
    assert json.loads(record.body)["withheld"] == root(record.opening.withheld_disclosures())
    for text in ("pol_1", "Night"):
        assert text not in record.body.decode()


def test_of_a_connection_only_what_the_request_asked_for_is_in_the_record() -> None:
    metadata = {"requestedScopes": ["a"], "kept": ["b"], "shownScopes": [{"id": "a"}, {"id": "b"}], "reason": "x"}
    (record,) = make(EMPTY._replace(event=Event.CONSENT_APPROVED, scopes=("a", "b"), metadata=metadata))
    content = json.loads(record.body)
    assert content["scopes"] == ["a"]
    assert content["metadata"] == {"requestedScopes": ["a"], "shownScopes": [{"id": "a"}], "reason": "x"}
    assert record.opening.withheld == {"connection": {"scopes": ["a", "b"], "metadata": metadata}}


def test_several_services_are_behind_a_root() -> None:
    """Otherwise each of them would learn which other services the user uses."""
    (record,) = make(EMPTY._replace(service_organization_ids=["org_8", "org_7", "org_8"]))
    assert json.loads(record.body)["serviceOrganizationIds"] == []
    assert record.opening.withheld == {"services": ["org_7", "org_8"]}
    assert json.loads(record.body)["withheld"] == root(record.opening.withheld_disclosures())
    assert record.outline.streams == ["org_7", "org_8"]


def test_an_entry_without_parts_has_no_roots() -> None:
    (record,) = make(EMPTY)
    content = json.loads(record.body)
    assert (content["personal"], content["withheld"], record.personal) == (None, None, b"")


@cases("draft", [FULL, EMPTY], ids=["full", "empty"])
def test_a_record_is_canonical(draft: Draft) -> None:
    (record,) = make(draft)
    assert record.body == rfc8785.dumps(json.loads(record.body))


def test_records_are_in_order_with_ids_and_secrets_of_their_own() -> None:
    records = make(*[FULL] * 100)
    ids = [record.id for record in records]
    assert ids == sorted(set(ids))
    assert len({record.opening.secret for record in records}) == 100
    assert len({open_personal(record.personal)[0] for record in records}) == 100


def test_groups_of_one_entry_share_no_salt() -> None:
    """Otherwise a reader of one group could guess the values of another."""
    (record,) = make(FULL)
    secret, personal = open_personal(record.personal)
    numbers = parts.disclosures(record.opening.secret, {"person": {"number": 1}})
    found = [*parts.disclosures(secret, personal), *record.opening.withheld_disclosures(), *numbers]
    salts = {json.loads(one)[0] for one in found}
    assert len(salts) == len(found) == 9
    assert {len(salt) for salt in salts} == {32}
    assert Opening(record.opening.secret, {}).withheld_disclosures() == []


def test_the_time_is_in_utc() -> None:
    (record,) = make(FULL, at=NOW.astimezone(timezone(timedelta(hours=5))))
    assert json.loads(record.body)["timestamp"] == "2026-03-01T12:00:00.000005Z"


@cases("value", [NOW, {1: 2}, "\ud800", 1 << 64], ids=repr)
def test_metadata_that_json_cannot_represent_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        encode_entry(prepare([EMPTY._replace(metadata={"at": value})], NOW)[0])
