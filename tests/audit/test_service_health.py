"""How a service uses AgentGate, counted from the log and from what still waits in the journal."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from audit.readers.services import health_of_service
from audit.sequencing.sequencer import sequence
from core import clock
from decisions.requests import VerifyRequest
from decisions.services import decide
from tests.audit.segments import shrink_segments
from tests.shared import cases
from tests.world import ANONYMOUS, Grant, make_caller, make_grant, make_resource_server

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]
DAY = timedelta(days=1)


def make_service(grant: Grant, identifier: str) -> Any:
    developer = grant.agent.organization.developers.get()
    return make_resource_server(developer, identifier, "email:read").server


def ask(grant: Grant, server: Any, scope: str, number: int = 1, **fields: Any) -> None:
    request = VerifyRequest(grant.access_token, [scope], ANONYMOUS, make_caller(server), **fields)
    decide([request] * number)


@cases("segment", [4, 4096])
def test_counts_what_the_service_asked_in_the_last_day(monkeypatch: pytest.MonkeyPatch, segment: int) -> None:
    shrink_segments(monkeypatch, segment)
    grant, others = make_grant(), make_grant(email="grace@example.com", developer="other@example.com")
    own, other = make_service(grant, "https://a.example"), make_service(grant, "https://b.example")
    organization_id, now = own.organization_id, clock.now()
    assert health_of_service(organization_id, own.id, now).last_at is None
    with time_machine.travel(now - timedelta(hours=1), tick=False) as time:
        ask(grant, own, "email:read", 3)
        ask(grant, own, "email:send", 2)
        ask(grant, other, "email:read", 4)
        ask(grant, own, "email:read", is_introspection=True)
        ask(others, own, "email:read")  # its token is for other services
        last = clock.now()
        time.shift(1)
        ask(grant, other, "email:send", 5)
    for place in ("the journal", "the log"):
        health = health_of_service(organization_id, own.id, now)
        assert (health.allowed, health.denied, health.errors, health.last_at) == (4, 3, 1, last), place
        assert (health.denied_share, health.error_rate) == pytest.approx((3 / 7, 1 / 7))
        assert health.since.microsecond == 0, "the link to the log has whole seconds"
        later = health_of_service(organization_id, own.id, now + DAY)
        assert (later.allowed, later.denied, later.errors, later.last_at) == (0, 0, 0, last), place
        assert (later.denied_share, later.error_rate) == (0.0, 0.0)
        sequence()
