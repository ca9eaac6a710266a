"""Approvals in decisions: when the user is asked, what an approval covers, and that it is used once."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from approvals.models import Approval
from consent.models import Consent
from core import clock
from decisions.requests import Decision, Reason, VerifyRequest
from tests.decisions.drivers import (
    Decide,
    EventLoop,
    allowed,
    asking,
    bound,
    caller_of,
    decide_on_django,
    event_loop,
    written_rows,
)
from tests.decisions.test_at_once import ask_apart
from tests.shared import cases
from tests.threads import race
from tests.world import Grant, make_grant

pytestmark = pytest.mark.django_db

MAIL = {"verb": "send", "recipient": "bob@acme.com", "text": "Hello", "amount": {"value": "12.50", "currency": "EUR"}}


@pytest.fixture
def grant() -> Grant:
    grant = make_grant(scopes=["email:read", "email:send"])
    bound(grant, modes={"email:send": "ask"})
    return grant


def send(grant: Grant, **context: Any) -> VerifyRequest:
    return asking(grant.access_token, "email:send", resource="mailbox", context={**MAIL, **context})


def one(decisions: list[Decision]) -> Decision:
    (decision,) = decisions
    return decision


def approve(approval_id: str | None, **changes: Any) -> Approval:
    """Approve it as the user would, or change it in another way."""
    row = Approval.objects.get(pk=approval_id)
    later = clock.now() + timedelta(hours=1)
    fields = {"status": Approval.Status.APPROVED, "expires_at": later, **changes}
    Approval.objects.filter(pk=row.pk).update(**fields)
    return row


@pytest.mark.postgresql
def test_the_user_is_asked_for_scopes_in_this_mode(decide: Decide, grant: Grant) -> None:
    asked, other = decide(send(grant, ip="192.0.2.1"), asking(grant.access_token))

    assert other.allowed
    assert (asked.allowed, asked.reason) == (False, Reason.APPROVAL_REQUIRED)
    row = Approval.objects.get()
    assert asked.approval_id == row.id
    assert (row.status, row.user_id, row.agent_id, row.consent_id) == (
        "pending",
        grant.user.id,
        grant.agent.id,
        grant.consent.id,
    )
    assert (row.scopes, row.asked_scopes, row.resource, row.context) == (
        ["email:send"],
        ["email:send"],
        "mailbox",
        MAIL,
    )
    assert (row.is_critical, row.is_held, row.server_id) == (False, False, None)
    assert row.organization_id == grant.agent.organization_id
    assert timedelta(minutes=59) < row.expires_at - clock.now() <= timedelta(hours=1)
    metadata = written_rows()[0][0].content["metadata"]
    assert (metadata["approvalId"], metadata["askedScopes"]) == (row.id, ["email:send"])


def test_the_same_content_is_asked_once(decide: Decide, grant: Grant) -> None:
    first, second = decide(send(grant), send(grant, ip="192.0.2.7"))
    assert first.approval_id == second.approval_id == one(decide(send(grant))).approval_id
    assert Approval.objects.count() == 1


@pytest.mark.postgresql
def test_an_approval_is_used_once(decide: Decide, grant: Grant) -> None:
    row = approve(one(decide(send(grant))).approval_id)

    first, second = decide(send(grant), send(grant))

    assert allowed([first, second]) == [True, False]
    assert first.approval_id == row.id != second.approval_id
    row.refresh_from_db()
    assert row.status == "used"
    assert row.used_at
    assert written_rows()[-1][0].content["metadata"]["approvalId"] == row.id


@cases(
    "changes",
    [
        {"text": "Hello!"},
        {"recipient": "eve@acme.com"},
        {"amount": {"value": "12.51", "currency": "EUR"}},
        {"amount": {"value": "12.50", "currency": "USD"}},
        {"more": None},
        {"arguments": "b" * 64},
        {"definition": "b" * 64},
    ],
    ids=["a character", "the recipient", "a cent", "the currency", "a field", "the arguments", "the tool"],
)
def test_an_approval_covers_only_its_content(decide: Decide, grant: Grant, changes: dict[str, Any]) -> None:
    call = send(grant, arguments="a" * 64, definition="a" * 64)
    approve(one(decide(call)).approval_id)
    changed = call._replace(context=call.context | changes)
    assert one(decide(changed)).reason is Reason.APPROVAL_REQUIRED
    assert one(decide(call._replace(resource="other"))).reason is Reason.APPROVAL_REQUIRED
    assert one(decide(call._replace(action="email:send"))).reason is Reason.APPROVAL_REQUIRED
    wider = call._replace(required_scopes=("email:send", "email:read"))
    assert one(decide(wider)).reason is Reason.APPROVAL_REQUIRED
    assert one(decide(call)).allowed


def test_an_approval_is_for_one_connection(decide: Decide, grant: Grant) -> None:
    approve(one(decide(send(grant))).approval_id)
    other = make_grant(email="eve@example.com", developer="eve-dev@example.com", scopes=["email:send"])
    bound(other, modes={"email:send": "ask"})
    assert one(decide(send(other))).reason is Reason.APPROVAL_REQUIRED


@pytest.mark.postgresql
def test_a_standing_approval_covers_its_target_up_to_its_amount(decide: Decide, grant: Grant) -> None:
    approve(one(decide(send(grant))).approval_id, is_standing=True)

    same, less = decide(send(grant), send(grant, text="Another", amount={"value": "0.01", "currency": "EUR"}))
    more = one(decide(send(grant, amount={"value": "12.51", "currency": "EUR"})))
    elsewhere = one(decide(send(grant, recipient="eve@acme.com")))
    unreadable = one(decide(send(grant, amount={"value": 1.5, "currency": "EUR"})))

    assert allowed([same, less, more, elsewhere, unreadable]) == [True, True, False, False, False]
    assert Approval.objects.filter(is_standing=True, status="approved").count() == 1


OTHER_ACTS = {
    "another account": {"account": "EVIL"},
    "no account": {"account": None},
    "a copy": {"cc": "eve@evil.com"},
    "a larger amount under another name": {"Amount": {"value": "5000", "currency": "EUR"}},
    "another verb": {"verb": "Send"},
    "a member of the amount": {"amount": {"value": "12.50", "currency": "EUR", "multiplier": 1000}},
    "an object as its text": {"text": {"iban": "EVIL"}},
    "a name in other case": {"Text": "Hello"},
    "other arguments": {"arguments": "b" * 64},
}


@cases("changes", OTHER_ACTS.values(), ids=list(OTHER_ACTS))
def test_a_standing_approval_fixes_all_but_texts_and_the_amount(
    decide: Decide, grant: Grant, changes: dict[str, Any]
) -> None:
    payment = {"account": "DE1", "arguments": "a" * 64, "task": "t1", "diff": "+a"}
    approve(one(decide(send(grant, **payment))).approval_id, is_standing=True)
    loose = {
        "text": "Another",
        "task": "t2",
        "diff": "+b",
        "ip": "192.0.2.9",
        "amount": {"value": 1, "currency": "EUR"},
    }
    less, other = decide(send(grant, **payment | loose), send(grant, **payment | changes))
    assert allowed([less, other]) == [True, False]
    assert other.reason is Reason.APPROVAL_REQUIRED


def test_a_denial_holds_beside_a_standing_approval(decide: Decide, grant: Grant) -> None:
    insult, greeting = decide(send(grant, text="An insult"), send(grant))
    denied = approve(insult.approval_id, status="denied")
    approve(greeting.approval_id, is_standing=True)

    again, other = decide(send(grant, text="An insult"), send(grant, text="Another"))

    assert (again.reason, again.approval_id) == (Reason.APPROVAL_REQUIRED, denied.id)
    assert (insult.approval_status, again.approval_status) == ("pending", "denied")
    assert written_rows()[-1][0].content["metadata"]["approvalStatus"] == "denied"
    assert other.allowed
    assert other.approval_status is None
    Approval.objects.filter(pk=denied.pk).update(expires_at=clock.now())
    assert one(decide(send(grant, text="An insult"))).allowed


def test_what_was_approved_once_is_used_before_a_standing_approval(decide: Decide, grant: Grant) -> None:
    asked, other = decide(send(grant), send(grant, text="Another"))
    approve(asked.approval_id)
    standing = approve(other.approval_id, is_standing=True)

    first, second = decide(send(grant), send(grant))

    assert [first.approval_id, second.approval_id] == [asked.approval_id, standing.id]
    assert allowed([first, second]) == [True, True]
    approve(standing.id, is_standing=True, status="expired")
    assert one(decide(send(grant))).reason is Reason.APPROVAL_REQUIRED


def test_an_approval_is_found_behind_a_later_request_for_more_reasons(decide: Decide, grant: Grant) -> None:
    asked = one(decide(send(grant)))
    Approval.objects.filter(pk=asked.approval_id).update(asked_scopes=[])
    later = one(decide(send(grant)))
    assert later.approval_id != asked.approval_id
    approve(asked.approval_id, asked_scopes=["email:send"])
    first, second = decide(send(grant), send(grant))
    assert (first.allowed, first.approval_id) == (True, asked.approval_id)
    assert (second.allowed, second.approval_id) == (False, later.approval_id)


@cases("status", ["denied", "expired", "used", "pending"])
def test_no_other_status_allows(decide: Decide, grant: Grant, status: str) -> None:
    asked = one(decide(send(grant)))
    approve(asked.approval_id, status=status)

    again = one(decide(send(grant)))

    assert again.reason is Reason.APPROVAL_REQUIRED
    # A denial holds until the request would have lapsed. Otherwise the agent could ask until the user gives in.
    assert (again.approval_id == asked.approval_id) == (status in ("denied", "pending"))


def test_a_denial_holds_until_an_hour_after_the_request(decide: Decide, grant: Grant) -> None:
    denied = one(decide(send(grant))).approval_id
    Approval.objects.filter(pk=denied).update(status="denied")
    expires_at = Approval.objects.get(pk=denied).expires_at
    assert timedelta(minutes=59) < expires_at - clock.now() <= timedelta(hours=1)
    assert one(decide(send(grant))).approval_id == denied
    approve(denied, status="denied", expires_at=clock.now())
    assert one(decide(send(grant))).approval_id != denied


def test_an_approval_lapses(decide: Decide, grant: Grant) -> None:
    row = approve(one(decide(send(grant))).approval_id, expires_at=clock.now() - timedelta(seconds=1))
    again = one(decide(send(grant)))
    assert again.reason is Reason.APPROVAL_REQUIRED
    assert again.approval_id != row.id


def test_an_approval_ends_with_its_consent(decide: Decide, grant: Grant) -> None:
    Consent.objects.filter(pk=grant.consent.pk).update(expires_at=clock.now() + timedelta(minutes=5))
    row = Approval.objects.get(pk=one(decide(send(grant))).approval_id)
    assert row.expires_at <= clock.now() + timedelta(minutes=5)


def test_more_than_five_an_hour_are_held_back(decide: Decide, grant: Grant) -> None:
    decide(*(send(grant, text=str(number)) for number in range(4)))
    decide(*(send(grant, text=str(number)) for number in range(4, 8)))
    rows = Approval.objects.order_by("id")
    assert [row.is_held for row in rows] == [False] * 5 + [True] * 3
    with time_machine.travel(clock.now() + timedelta(minutes=58), tick=False):
        one(decide(send(grant, text="later")))
    assert Approval.objects.order_by("-id")[0].is_held


def test_an_agent_that_floods_is_stopped(decide: Decide, grant: Grant) -> None:
    decisions = decide(*(send(grant, text=str(number)) for number in range(103)))
    assert Approval.objects.count() == 100
    assert {decision.reason for decision in decisions} == {Reason.APPROVAL_REQUIRED}
    assert decisions[-1].approval_id is None
    assert decisions[-1].retry_after_seconds


@pytest.mark.parametrize(("scope", "is_critical"), [("email:send", False), ("payments:charge", True)])
def test_critical_scopes_are_marked(decide: Decide, scope: str, is_critical: bool) -> None:
    grant = make_grant(scopes=["email:send", "payments:charge"])
    bound(grant, modes={scope: "ask"})
    one(decide(asking(grant.access_token, scope, credential=caller_of(grant))))
    row = Approval.objects.get()
    assert row.is_critical is is_critical
    assert row.server_id


@pytest.mark.django_db(transaction=True)
def test_an_approval_is_used_once_over_two_stores(loop: EventLoop, grant: Grant) -> None:
    approve(one(loop.decide(send(grant))).approval_id)
    outcomes = ask_apart(loop, 2, [send(grant)] * 50)
    decisions = [outcome for outcome in outcomes if isinstance(outcome, Decision)]
    assert len(decisions) == 50
    assert sum(allowed(decisions)) == 1
    assert Approval.objects.filter(status="used").count() == 1
    assert Approval.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_an_approval_is_used_once_by_threads(grant: Grant) -> None:
    approve(one(decide_on_django(send(grant))).approval_id)
    outcomes = race([lambda: one(decide_on_django(send(grant)))] * 8)
    assert sum(outcome.allowed for outcome in outcomes) == 1
    assert Approval.objects.count() == 2


def test_unreadable_terms_deny(decide: Decide, grant: Grant) -> None:
    bound(grant, limits={"email:read": [{"type": "nonsense", "config": {}}]})
    denied = one(decide(asking(grant.access_token)))
    assert denied.reason is Reason.POLICY_DENIED


@pytest.mark.django_db(transaction=True)
def test_a_new_process_knows_nothing_and_decides_the_same(grant: Grant) -> None:
    with event_loop() as first:
        approve(one(first.decide(send(grant))).approval_id)
    with event_loop() as second:
        assert one(second.decide(send(grant))).allowed
