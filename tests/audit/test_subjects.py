"""Whose key protects the personal data of an entry, and what is not stored because it is someone else's."""

from datetime import UTC, datetime
from typing import Any

import pytest

from audit.entries.drafts import Draft, Prepared, prepare
from audit.entries.subjects import subject_of
from audit.events import Event
from core.actor import SYSTEM, Actor

ADA, CONSENT, ORGANIZATION = "usr_ada", "cns_1", "org_1"
DEVELOPER, ADMINISTRATOR = Actor("developer", "dev_1"), Actor("administrator", "usr_root")
PEOPLE = ("user", "developer", "administrator")
TYPED = {"metadata": {"reason": "Ada called."}}

combinations = pytest.mark.parametrize(
    ("actor", "ids", "subject"),
    [
        (Actor("user", ADA), {"user_id": ADA, "consent_id": CONSENT}, ADA),
        (Actor("user", ADA), {"user_id": ADA, **TYPED}, ADA),
        (Actor("agent", "agt_1"), {"user_id": ADA, "organization_id": ORGANIZATION}, ADA),
        (Actor("service", "res_1"), {"user_id": ADA, "service_organization_ids": [ORGANIZATION]}, ADA),
        (Actor("service", "res_1"), {"user_id": ADA, **TYPED}, ADA),
        (Actor("anonymous"), {"user_id": ADA}, ADA),
        (DEVELOPER, {"organization_id": ORGANIZATION}, "dev_1"),
        (DEVELOPER, {"user_id": ADA}, "dev_1"),
        (Actor("api_key", "key_1"), {"organization_id": ORGANIZATION}, "org_1/2026-03"),
        (DEVELOPER, {"user_id": ADA, **TYPED}, ADA),
        (ADMINISTRATOR, {"user_id": ADA}, "usr_root"),
        (ADMINISTRATOR, {"user_id": ADA, **TYPED}, ADA),
        (ADMINISTRATOR, {"user_id": ADA, "consent_id": CONSENT, "organization_id": ORGANIZATION, **TYPED}, ADA),
        (ADMINISTRATOR, {"user_id": "usr_root", **TYPED}, "usr_root"),
        (ADMINISTRATOR, {"user_id": ADA, "metadata": {"reason": "account_reclaimed"}}, "usr_root"),
        (ADMINISTRATOR, {"agent_id": "agt_1", **TYPED}, "usr_root"),
        (Actor("anonymous"), {"consent_id": CONSENT, "organization_id": ORGANIZATION}, CONSENT),
        (Actor("anonymous"), {"organization_id": ORGANIZATION}, "org_1/2026-03"),
        (Actor("service", "res_1"), {"service_organization_ids": ["org_b", "org_a"]}, "org_a/2026-03"),
        (SYSTEM, {}, "-/2026-03"),
    ],
)


@combinations
def test_personal_data_belongs_to_a_person_a_consent_or_a_month(
    actor: Actor, ids: dict[str, Any], subject: str
) -> None:
    entry = prepared(actor, ids)
    assert subject_of(entry.content, entry.organization_ids) == subject


@combinations
def test_the_origin_of_a_person_is_stored_only_under_their_own_key(
    actor: Actor, ids: dict[str, Any], subject: str
) -> None:
    origin = {"ip": "203.0.113.7", "userAgent": "tests/1.0", "requestId": "trace-of-somebody"}
    calling = actor._replace(ip=origin["ip"], user_agent=origin["userAgent"], request_id=origin["requestId"])
    entry = prepared(calling, ids)
    stored = {name: value for name, value in entry.personal.items() if name in origin}
    assert stored == ({} if actor.kind in PEOPLE and actor.id != subject else origin)
    assert entry.content["requestId"] is None


def prepared(actor: Actor, ids: dict[str, Any]) -> Prepared:
    draft = Draft(event=Event.TOKEN_VERIFY, actor=actor, **ids)
    (entry,) = prepare([draft], datetime(2026, 3, 31, 23, 59, tzinfo=UTC))
    return entry
