"""Whose key protects the personal data of an entry."""

from datetime import UTC, datetime
from typing import Any

import pytest

from audit.entries.drafts import Draft, prepare
from audit.entries.subjects import subject_of
from audit.events import Event
from core.actor import SYSTEM, Actor

ADA, CONSENT, ORGANIZATION = "usr_ada", "cns_1", "org_1"
DEVELOPER, ADMINISTRATOR = Actor("developer", "dev_1"), Actor("administrator", "usr_root")


@pytest.mark.parametrize(
    ("actor", "ids", "subject"),
    [
        (Actor("user", ADA), {"user_id": ADA, "consent_id": CONSENT}, ADA),
        (Actor("agent", "agt_1"), {"user_id": ADA, "organization_id": ORGANIZATION}, ADA),
        (Actor("anonymous"), {"user_id": ADA}, ADA),
        (DEVELOPER, {"organization_id": ORGANIZATION}, "dev_1"),
        (DEVELOPER, {"user_id": ADA}, "dev_1"),
        (ADMINISTRATOR, {"user_id": ADA}, "usr_root"),
        (ADMINISTRATOR, {"user_id": ADA, "metadata": {"reason": "Ada called."}}, ADA),
        (ADMINISTRATOR, {"user_id": ADA, "metadata": {"reason": "account_reclaimed"}}, "usr_root"),
        (ADMINISTRATOR, {"agent_id": "agt_1", "metadata": {"reason": "Ada called."}}, "usr_root"),
        (Actor("anonymous"), {"consent_id": CONSENT, "organization_id": ORGANIZATION}, CONSENT),
        (Actor("anonymous"), {"organization_id": ORGANIZATION}, "org_1/2026-03"),
        (Actor("service", "res_1"), {"service_organization_ids": ["org_b", "org_a"]}, "org_a/2026-03"),
        (SYSTEM, {}, "-/2026-03"),
    ],
)
def test_personal_data_belongs_to_a_person_a_consent_or_a_month(
    actor: Actor, ids: dict[str, Any], subject: str
) -> None:
    draft = Draft(event=Event.TOKEN_VERIFY, actor=actor, **ids)
    (prepared,) = prepare([draft], datetime(2026, 3, 31, 23, 59, tzinfo=UTC))
    assert subject_of(prepared.content, prepared.organization_ids) == subject
