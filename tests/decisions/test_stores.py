"""One suite for all drivers of decisions: the server's store and Django's connection, on both databases."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import User
from agents.models import Agent
from audit.entries.drafts import SHORTENED, Prepared
from audit.events import Event
from core import clock
from core.actor import SYSTEM
from decisions.batcher import Batcher
from decisions.conversation import COUNTER_SECONDS
from decisions.requests import Credential, Decision, Reason, VerifyRequest
from developers.services import suspend_organization
from limits.models import Counter
from policies.services import create_policy, update_policy
from resources.models import ResourceServerSecret
from tests.decisions.drivers import (
    SHOP,
    Decide,
    EventLoop,
    allowed,
    another_user_of,
    asking,
    caller_of,
    decide_on_django,
    forget,
    limit,
    questions,
    without_id,
    written_rows,
)
from tests.decisions.test_decide import ENDINGS
from tests.world import Grant, make_caller, make_developer, make_grant, make_resource_server, mean_for
from tokens.models import AccessToken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def one(decisions: list[Decision]) -> Decision:
    (decision,) = decisions
    return decision


@pytest.mark.both_drivers
def test_an_allowed_request(decide: Decide, grant: Grant) -> None:
    decision = one(decide(asking(grant.access_token, action="email:read", context={"to": "Zoë"})))

    assert (decision.allowed, decision.reason) == (True, None)
    assert (decision.agent_id, decision.user_id) == (grant.agent.id, grant.user.id)
    assert decision.granted_scopes == ("email:read", "email:send")
    ((record,),) = written_rows()
    assert record.id == decision.audit_id
    assert record.content["outcome"] == "allowed"
    assert record.personal["call"]["context"] == {"to": "Zoë"}


def test_an_empty_batch(decide: Decide) -> None:
    assert not decide()
    assert written_rows() == []


@pytest.mark.parametrize("reason", ENDINGS, ids=str)
def test_each_ending(decide: Decide, grant: Grant, reason: Reason) -> None:
    assert one(decide(asking(grant.access_token))).allowed
    ENDINGS[reason](grant)

    decision = one(decide(asking(grant.access_token)))

    assert (decision.allowed, decision.reason) == (False, reason)
    assert written_rows()[-1][0].content["reason"] == reason


def test_the_reasons_of_the_request(decide: Decide, grant: Grant) -> None:
    stranger = make_resource_server(make_developer("eve@example.com", "Eve"), "https://eve.example").server

    missing, wrong = decide(
        asking(grant.access_token, "payments:charge", "email:read"),
        asking(grant.access_token, credential=make_caller(stranger)),
    )

    assert (missing.reason, missing.missing_scopes) == (Reason.INSUFFICIENT_SCOPE, ("payments:charge",))
    assert wrong.reason is Reason.WRONG_AUDIENCE


@pytest.mark.both_drivers
def test_a_suspended_service(decide: Decide, grant: Grant) -> None:
    eve = make_developer("eve@example.com", "Eve")
    shop = make_resource_server(eve, "https://eve.example").server
    mean_for(AccessToken.objects.all(), shop)
    asked = [
        asking(grant.access_token, credential=make_caller(shop)),
        asking(grant.access_token, resource=shop.identifier),
    ]
    assert allowed(decide(*asked)) == [True, True]

    suspend_organization(actor=SYSTEM, organization=eve.organization, reason="test")

    assert [decision.reason for decision in decide(*asked)] == [Reason.SERVICE_SUSPENDED] * 2


@pytest.mark.both_drivers
def test_a_policy(decide: Decide, grant: Grant) -> None:
    assert one(decide(asking(grant.access_token))).allowed
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
    policy = create_policy(actor=SYSTEM, organization=grant.agent.organization, name="No mail", rules=rules)

    denied = one(decide(asking(grant.access_token)))
    update_policy(actor=SYSTEM, policy=policy, changes={"enabled": False})

    assert denied.reason is Reason.POLICY_DENIED
    assert denied.policy
    assert (denied.policy.policy_id, denied.policy.rule_index) == (policy.id, 0)
    assert written_rows()[-1][0].withheld["policy"]["policyId"] == policy.id
    assert one(decide(asking(grant.access_token))).allowed


class TestCallers:
    def test_an_unknown_token_is_not_logged(self, decide: Decide, grant: Grant) -> None:
        decision = one(decide(asking("nonsense", credential=caller_of(grant))))
        assert (decision.reason, decision.is_caller_refused) == (Reason.INVALID_TOKEN, False)
        assert written_rows() == []

    @pytest.mark.parametrize("token", ["known", "unknown"])
    @pytest.mark.both_drivers
    def test_a_wrong_credential_is_refused(self, decide: Decide, grant: Grant, token: str) -> None:
        right, other = caller_of(grant), caller_of(grant, "https://other.example")
        wrong = [
            replace(right, digest="0" * 64),
            replace(right, digest=other.digest),
            replace(right, server_id="res_unknown"),
            replace(right, digest=""),
        ]
        asked = grant.access_token if token == "known" else "nonsense"

        decisions = decide(*(asking(asked, credential=credential) for credential in (right, *wrong)))

        assert [decision.is_caller_refused for decision in decisions] == [False, True, True, True, True]
        assert not any(decision.allowed or decision.is_known for decision in decisions[1:])
        assert sum(map(len, written_rows())) == (token == "known")

    def test_a_rotated_secret_fails_at_once(self, decide: Decide, grant: Grant) -> None:
        request = asking(grant.access_token, credential=caller_of(grant))
        assert one(decide(request)).allowed

        ResourceServerSecret.objects.update(expires_at=clock.now() + timedelta(minutes=1))
        assert one(decide(request)).allowed, "the overlap"
        ResourceServerSecret.objects.update(expires_at=clock.now())
        assert one(decide(request)).is_caller_refused
        ResourceServerSecret.objects.all().delete()
        assert one(decide(request)).is_caller_refused

    def test_a_refused_caller_does_not_affect_others_in_the_batch(self, decide: Decide, grant: Grant) -> None:
        limit(grant, 2)
        wrong = Credential("res_unknown", "0" * 64)
        asked = [asking(grant.access_token, credential=credential) for credential in (wrong, None, wrong, None, None)]

        decisions = decide(*asked)

        assert allowed(decisions) == [False, True, False, True, False]
        assert [decision.is_caller_refused for decision in decisions] == [True, False, True, False, False]
        assert [len(row) for row in written_rows()] == [3]


class TestDeletedTokens:
    def test_the_log_still_names_the_agent(self, decide: Decide, grant: Grant) -> None:
        AccessToken.objects.all().delete()
        revoked = one(decide(asking(grant.access_token)))
        with time_machine.travel(clock.now() + timedelta(hours=1)):
            expired = one(decide(asking(grant.access_token)))

        assert (revoked.reason, expired.reason) == (Reason.TOKEN_REVOKED, Reason.TOKEN_EXPIRED)
        assert {revoked.agent_id, expired.agent_id} == {grant.agent.id}
        assert [row[0].organization_ids for row in written_rows()] == [[grant.agent.organization_id]] * 2

    def test_the_agent_may_be_deleted_too(self, decide: Decide, grant: Grant) -> None:
        User.objects.filter(pk=grant.user.pk).delete()
        Agent.objects.all().delete()
        decision = one(decide(asking(grant.access_token)))
        assert (decision.reason, decision.agent_id) == (Reason.TOKEN_REVOKED, None)
        assert len(written_rows()) == 1

    def test_beside_a_live_token(self, decide: Decide, grant: Grant) -> None:
        other = make_grant(email="bob@example.com", developer="bob-dev@example.com")
        AccessToken.objects.filter(user=other.user).delete()
        decisions = decide(asking(other.access_token), asking(grant.access_token))
        assert [decision.reason for decision in decisions] == [Reason.TOKEN_REVOKED, None]


class TestLimits:
    @pytest.mark.both_drivers
    def test_several_limits_count_together_or_not_at_all(self, decide: Decide, grant: Grant) -> None:
        limit(grant, 2, "per_user")
        limit(grant, 3, "per_agent")
        other = another_user_of(grant)

        first = decide(*[asking(grant.access_token)] * 4)
        second = decide(*[asking(other)] * 3)

        assert allowed(first) == [True, True, False, False]
        assert allowed(second) == [True, False, False], "the denied calls of the first user took no place"
        assert [denying_policy(decision) for decision in first[2:]] == ["2 per_user"] * 2
        assert [denying_policy(decision) for decision in second[1:]] == ["3 per_agent"] * 2

    def test_requests_that_are_denied_for_another_reason_do_not_count(self, decide: Decide, grant: Grant) -> None:
        limit(grant, 2)
        bad, good = asking(grant.access_token, "payments:charge"), asking(grant.access_token)
        assert allowed(decide(bad, good, bad, good, bad, good)) == [False, True, False, True, False, False]

    def test_introspection_counts_nothing_and_evaluates_no_policy(self, decide: Decide, grant: Grant) -> None:
        limit(grant, 1)
        caller = caller_of(grant)
        asked = asking(grant.access_token, credential=caller, is_introspection=True)

        decisions = decide(asked, asked, asked)

        assert allowed(decisions) == [True] * 3
        assert not Counter.objects.exists()
        (row,) = written_rows()
        assert {record.content["event"] for record in row} == {Event.TOKEN_INTROSPECTED}
        assert "context" not in row[0].personal.get("call", {})

    def test_a_long_context_is_shortened_in_the_log(self, decide: Decide, grant: Grant) -> None:
        decide(asking(grant.access_token, context={"text": "x" * 100_000}))
        ((record,),) = written_rows()
        call = record.personal["call"]
        assert ("context" in call, call[SHORTENED]["size"]) == (False, 100_011)

    def test_a_batch_of_four_megabytes(self, decide: Decide, grant: Grant) -> None:
        asked = [asking(grant.access_token, context={"text": "x" * 4000, "number": number}) for number in range(1100)]

        decisions = decide(*asked)

        assert allowed(decisions) == [True] * len(asked)
        row = [record for written in written_rows() for record in written]
        assert [record.personal["call"]["context"]["number"] for record in row] == list(range(1100))
        assert sum(len(str(record.personal)) for record in row) > 4_000_000
        assert [record.id for record in row] == [decision.audit_id for decision in decisions]


def denying_policy(decision: Decision) -> str:
    assert decision.policy
    return decision.policy.policy_name


def every_kind_of_request(grant: Grant) -> list[VerifyRequest]:
    """Return requests of all kinds, two of them allowed. The last one is denied by a limit."""
    caller, token = caller_of(grant), grant.access_token
    deleted = make_grant(email="bob@example.com", developer="bob-dev@example.com")
    AccessToken.objects.filter(user=deleted.user).delete()
    limit(grant, 2)
    return [
        asking(token, action="email:read", resource="inbox", context={"ip": "203.0.113.9", "amount": 1.5}),
        asking(token, credential=caller, context={"text": "Zoë \\ \u2028 \x00" * 1000}),
        asking(token, "payments:charge", resource=SHOP, is_forwarded=True),
        asking(token, credential=caller, is_introspection=True),
        asking("nonsense", credential=caller),
        asking(token, credential=replace(caller, digest="0" * 64)),
        asking(deleted.access_token, credential=caller),
        asking(deleted.access_token, is_introspection=True),
        asking(token, resource="https://unknown.example"),
        asking(token),
    ]


def test_all_drivers_decide_and_log_the_same(loop: EventLoop, grant: Grant) -> None:
    requests = every_kind_of_request(grant)
    results = []
    with time_machine.travel(clock.now(), tick=False):
        for decide in (loop.decide, decide_on_django):
            forget()
            Counter.objects.all().delete()
            decisions = decide(*requests)
            results.append(([without_id(each) for each in decisions], [content(each) for each in written_rows()[-1]]))

    (decisions, records), again = results
    assert again == (decisions, records)
    assert sum(allowed(decisions)) == 3
    assert len({decision.reason for decision in decisions}) == 5
    assert len(records) == 8


def content(record: Prepared) -> tuple[Any, ...]:
    """Return what an entry says, without its id and its salt."""
    return {**record.content, "id": None}, record.personal, record.withheld


class TestBoundedTime:
    """A batch whose questions cost more than was expected leaves the last ones to another batch."""

    SECONDS = 10 * COUNTER_SECONDS

    @pytest.fixture(autouse=True)
    def _limited(self, grant: Grant) -> None:
        for seconds in range(100, 104):
            limit(grant, 100, seconds=seconds)

    def test_only_the_first_questions_are_decided(self, loop: EventLoop, grant: Grant) -> None:
        store, asked = loop.make_store(), questions(*[asking(grant.access_token)] * 20)
        for _ in range(2):  # the second batch foresees the counters
            decisions = loop.run(store.decide(asked, self.SECONDS))
            assert 1 <= len(decisions) <= 3
            assert [entry.id for entry in written_rows()[-1]] == [decision.audit_id for decision in decisions]
        assert len(loop.run(store.decide(asked))) == 20

    def test_a_question_that_costs_more_is_decided(self, loop: EventLoop, grant: Grant) -> None:
        asked = questions(*[asking(grant.access_token)] * 2)
        assert len(loop.run(loop.make_store().decide(asked, COUNTER_SECONDS))) == 1

    def test_costly_questions_after_cheap_ones_do_not_fill_a_batch(self, loop: EventLoop, grant: Grant) -> None:
        """A tenant whose questions have cost little seems to have room for hundreds in one batch."""
        for seconds in range(104, 124):
            limit(grant, 1000, seconds=seconds)
        store = loop.make_store()
        cheap, costly = questions(asking(grant.access_token, "payments:charge"), asking(grant.access_token))
        loop.run(store.decide([costly]))

        async def ask() -> None:
            batcher = Batcher(store, limit=1000)
            for question in (*[cheap] * 8, costly):
                answers = [batcher.submit([question]) for _ in range(200)]
                await asyncio.wait_for(asyncio.gather(*answers), 30)

        loop.run(ask())
        batches = [[entry.content["reason"] == Reason.INSUFFICIENT_SCOPE for entry in row] for row in written_rows()]
        assert max(len(row) for row in batches if all(row)) > 80
        assert max(len(row) for row in batches if not any(row)) < 60
