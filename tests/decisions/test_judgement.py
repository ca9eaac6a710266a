"""The judgement of a question is pure: facts in, decision out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from core.actor import Actor
from decisions import expectations
from decisions.approvals import BatchApprovals
from decisions.expectations import expected_counters, learn, see
from decisions.facts import AgentFacts, CallerFacts, ServiceFacts, TokenFacts
from decisions.judgement import Found, judge
from decisions.memory import POLICY_SETS
from decisions.questions import Question
from decisions.requests import Credential, Reason, VerifyRequest
from decisions.settling import Settling
from limits.reservations import ReservationExpired
from limits.sliding_window import LoadedCounter
from policies.policy_sets import NO_POLICIES, PolicyRow, PolicySet, compile_policy_set
from policies.rules.data_flow import task_key
from tests.decisions.drivers import forget
from tests.shared import cases
from tokens.access_tokens import Claims

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON, BEFORE = NOW + timedelta(minutes=5), NOW - timedelta(minutes=5)
CLAIMS = Claims("tok_1", "client_1", "usr_1", "cns_1", ("email:read",), (settings.API_URL,), SOON)
TOKEN = TokenFacts(
    token_id="tok_1",
    expires_at=SOON,
    scope="email:read email:send",
    audience_json=f'["{settings.API_URL}"]',
    owners_json='{"https://shop.example": "org_2"}',
    is_family_revoked=False,
    removed_scopes="[]",
    user_id="usr_1",
    is_user_active=True,
    consent_id="cns_1",
    consent_status="approved",
    consent_expires_at=SOON,
    consented_scopes='["email:read", "email:send"]',
    terms="{}",
    is_paused=False,
    agent_id="agt_1",
    client_id="client_1",
    agent_status="active",
    is_agent_stopped=False,
    is_stock=False,
    allowed_scopes='["email:read", "email:send"]',
    organization_id="org_1",
    is_organization_suspended=False,
    is_organization_stopped=False,
    policy_version="1",
    is_everything_stopped=False,
)
SERVICE = ServiceFacts("res_1", "https://shop.example", "org_2", False, "1")
CALLER = CallerFacts("d" * 64, None, *SERVICE)
CREDENTIAL = Credential("res_1", "d" * 64)
LIMITED = '[{"type": "rate_limit", "config": {"maxRequests": 2, "windowSeconds": 60, "scope": "per_agent"}}]'
BLOCKED = '[{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]'


def question(*scopes: str, claims: Claims | None = CLAIMS, **fields: Any) -> Question:
    request = VerifyRequest(token="x", required_scopes=scopes or ("email:read",), actor=Actor("anonymous"), **fields)
    return Question(request, claims, request.named_audience if not request.credential else None)


def policy_set(rules: str) -> PolicySet:
    return compile_policy_set([PolicyRow("pol_1", "Policy", None, "enforce", rules, "{}")])


def found(token: TokenFacts | None = TOKEN, **fields: Any) -> Found:
    nothing = Found(token, None, None, None, NO_POLICIES, None)
    return nothing._replace(**fields)


@cases(
    ("changes", "reason"),
    [
        ({}, None),
        ({"expires_at": NOW}, Reason.TOKEN_EXPIRED),
        ({"is_family_revoked": True}, Reason.TOKEN_REVOKED),
        ({"is_organization_suspended": True}, Reason.ORGANIZATION_SUSPENDED),
        ({"is_organization_stopped": True}, Reason.ORGANIZATION_STOPPED),
        ({"is_agent_stopped": True}, Reason.AGENT_SUSPENDED),
        ({"agent_status": "suspended"}, Reason.AGENT_SUSPENDED),
        ({"agent_status": "from the future"}, Reason.AGENT_SUSPENDED),
        ({"is_user_active": False}, Reason.USER_INACTIVE),
        ({"consent_status": "revoked"}, Reason.CONSENT_REVOKED),
        ({"consent_status": "from the future"}, Reason.CONSENT_REVOKED),
        ({"consent_status": None}, Reason.CONSENT_REVOKED),
        ({"consent_expires_at": NOW}, Reason.CONSENT_EXPIRED),
        ({"audience_json": "[]"}, Reason.WRONG_AUDIENCE),
        ({"audience_json": '"https://shop.example"'}, Reason.WRONG_AUDIENCE),
        ({"scope": "email:send"}, Reason.INSUFFICIENT_SCOPE),
        ({"allowed_scopes": "[]"}, Reason.INSUFFICIENT_SCOPE),
        ({"consented_scopes": '["email:send"]'}, Reason.INSUFFICIENT_SCOPE),
        ({"removed_scopes": '["email:read"]'}, Reason.INSUFFICIENT_SCOPE),
        ({"consent_id": None, "consent_status": None, "user_id": None, "is_user_active": None}, None),
        ({"is_stock": True, "allowed_scopes": "[]"}, None),
    ],
)
def test_each_fact_of_a_token(changes: dict[str, Any], reason: Reason | None) -> None:
    judgement = judge(question(), found(TOKEN._replace(**changes)), NOW)
    assert judgement.decision.reason is reason
    assert judgement.decision.allowed == (reason is None)
    assert judgement.is_logged


class TestCallers:
    @cases(
        "caller",
        [
            None,
            CALLER._replace(server_id="res_2"),
            CALLER._replace(secret_expires_at=NOW),
            CALLER._replace(secret_expires_at=BEFORE),
        ],
    )
    def test_a_wrong_credential_is_refused(self, caller: CallerFacts | None) -> None:
        judgement = judge(question(credential=CREDENTIAL), found(caller=caller, service=SERVICE), NOW)
        assert judgement.decision.is_caller_refused
        assert not judgement.decision.allowed
        assert not judgement.is_logged

    def test_a_wrong_credential_is_refused_for_an_unknown_token_too(self) -> None:
        assert judge(question(claims=None, credential=CREDENTIAL), found(None), NOW).decision.is_caller_refused

    @cases("expires_at", [None, SOON])
    def test_a_right_one_says_who_asks(self, expires_at: datetime | None) -> None:
        caller = CALLER._replace(secret_expires_at=expires_at)
        judgement = judge(question(credential=CREDENTIAL), found(caller=caller, service=SERVICE), NOW)
        assert judgement.decision.reason is Reason.WRONG_AUDIENCE
        assert judgement.service_organization_id == "org_2"

    def test_a_named_service_is_affected_only_by_tokens_for_it(self) -> None:
        asked = question(resource=SERVICE.identifier)
        foreign = judge(asked, found(service=SERVICE), NOW)
        own = judge(asked, found(TOKEN._replace(audience_json=f'["{SERVICE.identifier}"]'), service=SERVICE), NOW)
        assert (foreign.decision.reason, foreign.service_organization_id) == (Reason.WRONG_AUDIENCE, None)
        assert (own.decision.reason, own.service_organization_id) == (None, "org_2")

    def test_who_has_no_credential_does_not_learn_that_a_key_was_used(self) -> None:
        judgement = judge(question(credential=CREDENTIAL), found(problem=ReservationExpired("x")), NOW)
        assert (judgement.decision.is_caller_refused, judgement.decision.problem) == (True, None)


class TestDeletedTokens:
    @cases(("expires_at", "reason"), [(SOON, "token_revoked"), (NOW, "token_expired")])
    def test_the_claims_say_what_is_known(self, expires_at: datetime, reason: str) -> None:
        agent = AgentFacts("client_1", "agt_1", "org_1")
        judgement = judge(question(claims=replace(CLAIMS, expires_at=expires_at)), found(None, agent=agent), NOW)
        assert (judgement.decision.reason, judgement.decision.agent_id) == (reason, "agt_1")
        assert judgement.organization_id == "org_1"
        assert judgement.is_logged

    def test_a_token_that_we_did_not_sign_is_not_logged(self) -> None:
        judgement = judge(question(claims=None), found(None), NOW)
        assert judgement.decision.reason is Reason.INVALID_TOKEN
        assert not judgement.is_logged


class TestPolicies:
    def test_a_limit_is_left_to_be_counted(self) -> None:
        judgement = judge(question(), found(agent_policies=policy_set(LIMITED)), NOW)
        assert judgement.decision.allowed
        (limit,) = judgement.evaluation.limits
        assert (limit.request.limit, limit.request.window_seconds) == (2, 60)

    def test_a_full_limit_denies(self) -> None:
        facts = found(agent_policies=policy_set(LIMITED))
        judgement = judge(question(), facts, NOW)
        (request,) = judgement.evaluation.counter_requests
        counter = LoadedCounter(request.key, request.window_seconds)
        counter.take(2, NOW)
        Settling({request.key: counter}, {}, BatchApprovals([], NOW), NOW).settle(judgement, facts)
        assert not judgement.decision.allowed
        assert 60 <= (judgement.decision.retry_after_seconds or 0) <= 61
        assert judgement.denying_organization_id == "org_1"

    def test_the_services_policies_apply_to_requests_that_affect_it(self) -> None:
        token = TOKEN._replace(audience_json=f'["{SERVICE.identifier}"]')
        facts = found(token, service=SERVICE, service_policies=policy_set(BLOCKED))
        judgement = judge(question(resource=SERVICE.identifier), facts, NOW)
        assert judgement.decision.reason is Reason.POLICY_DENIED
        assert judgement.denying_organization_id == "org_2"

    def test_a_denied_request_has_no_limits(self) -> None:
        judgement = judge(question("files:read"), found(agent_policies=policy_set(LIMITED)), NOW)
        assert judgement.evaluation.limits == ()

    def test_introspection_evaluates_none(self) -> None:
        judgement = judge(question(is_introspection=True), found(agent_policies=policy_set(BLOCKED)), NOW)
        assert judgement.decision.allowed


def expected(questions: list[Question]) -> tuple[set[str], set[str]]:
    """Return the counters that are expected, and those of them that may not exist yet."""
    found = expected_counters(questions, NOW)
    return found.keys, found.new


class TestExpectations:
    NEEDED = ("b", "a")

    @pytest.fixture(autouse=True)
    def _new_process(self) -> None:
        forget()

    def test_nothing_is_expected_of_what_is_unknown(self) -> None:
        assert expected([question(), question(claims=None)]) == (set(), set())

    def test_a_token_needs_what_it_needed_before(self) -> None:
        learn(question(), TOKEN, self.NEEDED)
        assert expected([question()]) == ({"a", "b"}, set())
        learn(question(), TOKEN, ["c"])
        assert expected([question()]) == ({"a", "b", "c"}, set())

    def test_it_is_remembered_for_each_service(self) -> None:
        learn(question(), TOKEN, self.NEEDED)
        assert expected([question(credential=CREDENTIAL)])[0] == set()

    def test_introspection_needs_none(self) -> None:
        learn(question(), TOKEN, self.NEEDED)
        assert expected([question(is_introspection=True)]) == (set(), set())

    def test_a_new_token_of_a_known_agent_needs_what_its_policies_count(self) -> None:
        POLICY_SETS.add("org_1", "1", policy_set(LIMITED))
        see(question(), TOKEN, None)
        other = question(claims=replace(CLAIMS, token_id="tok_2"))
        (limit,) = judge(other, found(agent_policies=policy_set(LIMITED)), NOW).evaluation.limits
        assert expected([other]) == ({limit.request.key}, {limit.request.key})

    def test_it_is_looked_up_once_for_all_questions_of_a_batch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """If they are always denied, it is never known, and a hundred questions would look at each limit each time."""
        looked: list[Question] = []

        def foresee(asked: Question, now: datetime) -> list[str]:
            looked.append(asked)
            return ["a"]

        monkeypatch.setattr(expectations, "_foreseen", foresee)
        other = question(claims=replace(CLAIMS, token_id="tok_2"))
        assert expected([question(), question(), other, question()]) == ({"a"}, {"a"})
        assert looked == [question(), other]

    def test_it_ends_with_the_question_that_needs_more_than_was_asked_for(self) -> None:
        learn(question(), TOKEN, self.NEEDED)
        other = question(claims=replace(CLAIMS, token_id="tok_2"))
        asked = [other, question(), question(), other]
        assert [expected_counters(asked, NOW, most).number for most in (0, 1, 2, 3)] == [1, 2, 2, 4]

    def test_what_a_token_needs_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(expectations, "MAX_COUNTERS", 2)
        for key in "abc":
            learn(question(), TOKEN, [key])
        assert expected([question()])[0] == {"c", "b"}

    def test_a_tasks_row_is_expected_and_created_only_once(self) -> None:
        connection = "flow||agt_1|usr_1"
        asked = question(context={"task": "invoice"})
        row = task_key(connection, "invoice")
        learn(question(), TOKEN, [connection])
        assert expected([asked]) == ({connection, row}, {row})
        learn(asked, TOKEN, [connection, row])
        assert expected([asked]) == ({connection, row}, set())
        assert expected([question()]) == ({connection}, set())

    def test_a_tasks_row_is_expected_of_a_guard_that_is_only_read(self) -> None:
        """A call that sends data out reads those of its task and of calls without one, also of earlier guards."""
        connection = "flow|0123456789abcdef|agt_1|usr_1"
        learn(question(), TOKEN, [f"{connection}*", task_key(connection, "first")])
        row = task_key(connection, "invoice")
        assert expected([question(context={"task": "invoice"})]) == ({f"{connection}*", row}, {row})
