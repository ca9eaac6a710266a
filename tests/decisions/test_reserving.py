"""Reservations that decisions make: amounts that are held, by both drivers."""

from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
import time_machine

from audit.entries.drafts import Prepared
from core import clock
from core.actor import SYSTEM
from core.money import Amount
from decisions.requests import VerifyRequest
from limits.models import Reservation
from limits.reservations import commit_reservation, void_reservation
from policies.models import Policy
from policies.services import create_policy, update_policy
from tests.decisions.drivers import Decide, EventLoop, allowed, asking, caller_of, written_rows
from tests.world import Grant

pytestmark = pytest.mark.django_db


def budget(grant: Grant, most: str = "100.00", **config: Any) -> Policy:
    config = {"maxAmount": most, "currency": "EUR", "windowSeconds": 3600, "scope": "per_user", **config}
    rules = [{"type": "spend_limit", "config": config}]
    return create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Budget", rules=rules)


def paying(grant: Grant, value: Any, currency: str = "EUR", **fields: Any) -> VerifyRequest:
    return asking(grant.access_token, context={"amount": {"value": value, "currency": currency}}, **fields)


def reserving(grant: Grant, value: Any, seconds: int = 600, **fields: Any) -> VerifyRequest:
    return paying(grant, value, reserve_seconds=seconds, **fields)


def commit(reservation_id: str | None, value: str | None = None, server_id: str | None = None) -> Reservation:
    final = None if value is None else Amount(value, "EUR")
    return commit_reservation(actor=SYSTEM, reservation_id=str(reservation_id), final_amount=final, server_id=server_id)


def last_entry() -> Prepared:
    return written_rows()[-1][0]


@pytest.mark.parametrize(
    ("most", "currency", "part", "times"),
    [
        ("100.00", "EUR", "33.33", 3),
        ("5000", "JPY", "1000", 5),
        ("1.005", "KWD", "0.335", 3),
        ("0.00000003", "BHD", "0.00000001", 3),
        ("999999999999999", "EUR", "333333333333333", 3),
    ],
)
def test_a_budget_is_exact_in_currencies_with_any_number_of_decimals(
    decide: Decide, grant: Grant, most: str, currency: str, part: str, times: int
) -> None:
    budget(grant, most, currency=currency)
    asked = [paying(grant, part, currency) for _ in range(times + 1)]
    assert sum(allowed(decide(*asked))) == times
    rest = Decimal(most) - times * Decimal(part)
    assert allowed(decide(paying(grant, f"{rest:f}", currency)))[0]
    smallest = f"{Decimal(1).scaleb(-8):f}"
    (full,) = decide(paying(grant, smallest, currency))
    assert not full.allowed
    assert full.policy
    assert full.policy.detail == "The spending limit is exceeded."
    assert full.retry_after_seconds
    assert 3600 <= full.retry_after_seconds <= 3660


def test_a_full_budget_counts_in_no_other_limit(decide: Decide, grant: Grant) -> None:
    budget(grant, "10")
    rules = [{"type": "rate_limit", "config": {"maxRequests": 2, "windowSeconds": 3600, "scope": "global"}}]
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Calls", rules=rules)
    asked = [paying(grant, value) for value in ("6", "6", "4", "0")]
    assert allowed(decide(*asked)) == [True, False, True, False]


def test_what_is_reserved_counts_until_it_lapses(decide: Decide, grant: Grant) -> None:
    budget(grant, "10")
    with time_machine.travel(clock.now(), tick=False) as traveller:
        (first,) = decide(reserving(grant, "8.00", 60))
        assert first.reservation_expires_at == clock.now() + timedelta(seconds=60)
        (full,) = decide(reserving(grant, "2.01"))
        assert (full.allowed, full.reservation_id) == (False, None)
        assert full.retry_after_seconds
        assert 60 <= full.retry_after_seconds <= 120
        traveller.shift(full.retry_after_seconds)
        assert allowed(decide(reserving(grant, "10.00"))) == [True]


@pytest.mark.postgresql
def test_the_row_has_what_the_log_needs(decide: Decide, grant: Grant) -> None:
    budget(grant)
    caller = caller_of(grant)
    (decision,) = decide(reserving(grant, "12.50", credential=caller))
    row = Reservation.objects.get()
    assert row.id == decision.reservation_id
    assert (row.audit_id, row.expires_at) == (decision.audit_id, decision.reservation_expires_at)
    assert (row.server_id, row.agent_id, row.user_id) == (caller.server_id, grant.agent.id, grant.user.id)
    organization = grant.agent.organization_id
    assert (row.organization_id, row.service_organization_id) == (organization, organization)
    assert (row.consent_id, row.status, row.amount, row.currency) == (grant.consent.id, "held", "12.50", "EUR")
    assert [window for _, window in row.holds] == [3600]
    entry = last_entry()
    assert entry.content["metadata"]["reservationId"] == row.id
    assert entry.personal["amount"] == {"currency": "EUR", "value": "12.50", "reserved": True}


def test_the_log_names_an_anonymous_callers_reservation_by_a_digest(decide: Decide, grant: Grant) -> None:
    (decision,) = decide(reserving(grant, "12.50"))
    digest = sha256(f"reservation-in-log:{decision.reservation_id}".encode()).hexdigest()
    assert last_entry().content["metadata"]["reservationId"] == f"rsv_{digest[:32]}"


@pytest.mark.postgresql
def test_an_amount_without_a_budget_is_reserved_too(decide: Decide, grant: Grant) -> None:
    (decision,) = decide(reserving(grant, 5))
    assert Reservation.objects.get().holds == []
    assert commit(decision.reservation_id, "4").status == "committed"


@pytest.mark.parametrize("scopes", [["payments:charge"]])
def test_a_denied_request_reserves_nothing(decide: Decide, grant: Grant, scopes: list[str]) -> None:
    budget(grant)
    (decision,) = decide(reserving(grant, "1")._replace(required_scopes=scopes))
    assert (decision.allowed, decision.reservation_id) == (False, None)
    assert not Reservation.objects.exists()
    assert last_entry().personal["amount"] == {"currency": "EUR", "value": "1"}


def test_a_request_that_reserves_without_an_amount_is_not_decided(decide: Decide, grant: Grant) -> None:
    with pytest.raises(ValueError, match="amount"):
        decide(asking(grant.access_token, reserve_seconds=60))
    assert not written_rows()


def test_several_reservations_of_a_batch_share_the_budget(decide: Decide, grant: Grant) -> None:
    budget(grant, "10")
    decisions = decide(*[reserving(grant, "4") for _ in range(4)])
    assert allowed(decisions) == [True, True, False, False]
    assert Reservation.objects.count() == 2


@pytest.mark.postgresql
def test_a_commit_counts_what_was_spent_and_a_void_nothing(decide: Decide, grant: Grant) -> None:
    budget(grant, "10")
    (first,) = decide(reserving(grant, "8"))
    commit(first.reservation_id, "3.5")
    (second,) = decide(reserving(grant, "6.5"))
    void_reservation(actor=SYSTEM, reservation_id=str(second.reservation_id), server_id=None)
    assert allowed(decide(paying(grant, "6.51"), paying(grant, "6.5"), paying(grant, "0.01"))) == [False, True, False]


def test_requests_are_counted_when_an_amount_is_only_reserved(decide: Decide, grant: Grant) -> None:
    budget(grant)
    rules = [{"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "global"}}]
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Calls", rules=rules)
    (first,) = decide(reserving(grant, "1"))
    void_reservation(actor=SYSTEM, reservation_id=str(first.reservation_id), server_id=None)
    assert allowed(decide(reserving(grant, "1"))) == [False]


@pytest.mark.parametrize(
    "changes",
    [
        {"windowSeconds": 7200},
        {"windowSeconds": 60},
        {"scope": "global"},
        {"scope": "per_agent", "windowSeconds": 86_400},
        {"actions": ["email:*"]},
    ],
    ids=str,
)
def test_an_edit_of_the_limit_keeps_what_is_reserved_and_then_committed(
    decide: Decide, grant: Grant, changes: dict[str, Any]
) -> None:
    policy = budget(grant, "10")
    (first,) = decide(reserving(grant, "8", 3600))
    config = {**policy.rules[0]["config"], **changes}
    update_policy(actor=SYSTEM, policy=policy, changes={"rules": [{"type": "spend_limit", "config": config}]})
    assert allowed(decide(paying(grant, "2.01"), paying(grant, "1"))) == [False, True]
    commit(first.reservation_id, "7")
    assert allowed(decide(paying(grant, "2.01"), paying(grant, "2"), paying(grant, "0.01"))) == [False, True, False]


@pytest.mark.parametrize("other", [{"scope": "global"}, {"windowSeconds": 60}, {"actions": ["email:*"]}], ids=str)
def test_a_limit_that_is_edited_twice_keeps_what_is_reserved(
    decide: Decide, grant: Grant, other: dict[str, Any]
) -> None:
    policy = budget(grant, "10")
    (first,) = decide(reserving(grant, "8", 3600))
    before = policy.rules[0]["config"]
    for config in ({**before, **other}, before):
        policy = update_policy(
            actor=SYSTEM, policy=policy, changes={"rules": [{"type": "spend_limit", "config": config}]}
        )
    assert allowed(decide(paying(grant, "2.01"))) == [False]
    commit(first.reservation_id, "8")
    assert allowed(decide(paying(grant, "2.01"))) == [False]


def test_a_commit_counts_from_its_own_time(decide: Decide, grant: Grant) -> None:
    budget(grant, "10", windowSeconds=60)
    with time_machine.travel(clock.now(), tick=False) as traveller:
        (first,) = decide(reserving(grant, "10", 600))
        traveller.shift(599)
        commit(first.reservation_id)
        traveller.shift(59)
        assert allowed(decide(paying(grant, "0.01"))) == [False]
        traveller.shift(2)
        assert allowed(decide(paying(grant, "10"))) == [True]


@pytest.mark.django_db(transaction=True)
def test_a_new_process_finds_what_is_held(loop: EventLoop, grant: Grant) -> None:
    budget(grant, "10")
    loop.decide(reserving(grant, "10"))
    other = loop.make_store()
    assert allowed(loop.decide(reserving(grant, "0.01"), store=other)) == [False]
