"""The newest number of an organization, wherever the follower is."""

import pytest

from audit.events import Event
from audit.sequencing.sequencer import sequence
from events import numbers
from events.following import follow_once
from events.numbers import newest_number
from tests.audit.journals import decision, write_drafts

pytestmark = pytest.mark.django_db


def write(organization_id: str, times: int) -> None:
    write_drafts([decision(event=Event.CONSENT_REVOKED, organization_id=organization_id) for _ in range(times)])
    sequence()


def test_the_newest_number_is_found_however_far_behind_the_follower_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert newest_number("org_1") == 0
    write("org_1", 3)
    write("org_2", 2)
    for far in (100, 1):
        monkeypatch.setattr(numbers, "SEGMENT", far)
        assert (newest_number("org_1"), newest_number("org_2"), newest_number("org_3")) == (3, 2, 0)
    while follow_once():
        pass
    assert (newest_number("org_1"), newest_number("org_3")) == (3, 0)
    write("org_1", 1)
    assert newest_number("org_1") == 4
