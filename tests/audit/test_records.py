"""Records are complete, canonical and made without a database."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
import rfc8785

from audit.drafts import Draft
from audit.events import Event, Outcome
from core.actor import SYSTEM, Actor

NOW = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
ACTOR = Actor("service", "res_1", ip="203.0.113.7", user_agent="tests/1.0", request_id="req-12345678")


class Reason(StrEnum):
    REVOKED = "token_revoked"


FULL = Draft(
    event=Event.TOKEN_VERIFY,
    actor=ACTOR,
    outcome=Outcome.DENIED,
    organization_id="org_2",
    service_organization_ids=["org_2", "org_1", "org_1"],
    user_id="usr_1",
    agent_id="agt_1",
    consent_id="cns_1",
    policy_id="pol_1",
    policy_organization_id="org_1",
    reason=Reason.REVOKED,
    action="email:send",
    scopes=("email:send", "email:read"),
    resource="mailbox of Zoë",
    metadata={"tokenId": "tok_1", "reason": "line\nbreak", "amount": 1.5},
    personal={"context": {"ip": "198.51.100.1"}},
)


def test_a_record_contains_everything_in_the_draft() -> None:
    (record,) = make_records([FULL], NOW)

    assert json.loads(record.personal) == {
        "ip": "203.0.113.7",
        "userAgent": "tests/1.0",
        "resource": "mailbox of Zoë",
        "context": {"ip": "198.51.100.1"},
    }
    assert json.loads(record.body) == {
        "v": 1,
        "id": record.id,
        "timestamp": "2026-03-01T12:00:00.000005Z",
        "event": "token.verify",
        "outcome": "denied",
        "reason": "token_revoked",
        "organizationId": "org_2",
        "serviceOrganizationIds": ["org_1", "org_2"],
        "actor": {"kind": "service", "id": "res_1"},
        "userId": "usr_1",
        "agentId": "agt_1",
        "consentId": "cns_1",
        "policyId": "pol_1",
        "policyOrganizationId": "org_1",
        "action": "email:send",
        "scopes": ["email:send", "email:read"],
        "requestId": "req-12345678",
        "metadata": {"tokenId": "tok_1", "reason": "line break", "amount": 1.5},
        "personal": hashlib.sha256(record.salt + record.personal).hexdigest(),
    }


@pytest.mark.parametrize("draft", [FULL, Draft(event=Event.TOKEN_REVOKED, actor=SYSTEM)], ids=["full", "empty"])
def test_both_parts_are_canonical(draft: Draft) -> None:
    (record,) = make_records([draft], NOW)
    for part in (record.body, record.personal):
        assert part == rfc8785.dumps(json.loads(part))


def test_records_are_in_order_with_ids_and_salts_of_their_own() -> None:
    records = make_records([FULL] * 100, NOW)
    ids = [record.id for record in records]
    assert ids == sorted(set(ids))
    assert len({record.salt for record in records}) == 100
    assert {len(record.salt) for record in records} == {32}


def test_the_time_is_in_utc() -> None:
    (record,) = make_records([FULL], NOW.astimezone(timezone(timedelta(hours=5))))
    assert json.loads(record.body)["timestamp"] == "2026-03-01T12:00:00.000005Z"


def test_metadata_that_json_cannot_represent_is_refused() -> None:
    with pytest.raises(ValueError, match="unsupported type"):
        make_records([Draft(event=Event.TOKEN_VERIFY, actor=SYSTEM, metadata={"at": NOW})], NOW)
