"""A decision has the first reason that applies. It is logged once if we signed the token, and otherwise not at all."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError

from accounts.models import User
from accounts.services import deactivate_user
from agents.models import Agent
from agents.services import update_agent
from audit.events import Event
from audit.models import Entry
from audit.readers.reading import read_entry
from consent.models import Consent
from consent.services import revoke_consent
from core.actor import SYSTEM
from decisions import conversation
from decisions.requests import Credential, Decision, Reason, VerifyRequest
from decisions.services import decide
from developers.services import suspend_organization
from policies.services import create_policy, update_policy
from resources.models import ResourceServer
from tests.log import log_entries, personal_data
from tests.samples import sample
from tests.shared import cases
from tests.world import ANONYMOUS, Grant, make_caller, make_grant, mean_for
from tokens.models import AccessToken
from tokens.services import revoke_token
from tokens.tasks import sweep_tokens

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant() -> Grant:
    return make_grant(scopes=["email:read", "email:send"])


def ask(grant: Grant, *scopes: str, **fields: Any) -> Decision:
    request = VerifyRequest(
        token=grant.access_token, required_scopes=scopes or ("email:read",), actor=ANONYMOUS, **fields
    )
    return decide([request])[0]


def entries() -> list[Entry]:
    return list(log_entries(event=Event.TOKEN_VERIFY))


def test_a_live_token_with_the_scope_is_allowed_and_logged(grant: Grant) -> None:
    decision = ask(grant, action="email:read", resource="inbox")

    assert decision.allowed
    assert decision.reason is None
    assert decision.granted_scopes == ("email:read", "email:send")
    (entry,) = entries()
    assert entry.id == decision.audit_id
    assert (entry.outcome, entry.agent_id, entry.user_id) == ("allowed", grant.agent.id, grant.user.id)
    assert personal_data(entry.id)["resource"] == "inbox"


def test_tokens_that_we_did_not_sign_get_the_same_answer_and_are_not_logged(django_assert_num_queries: Any) -> None:
    tokens = ["", "x", "a.b.c", "é" * 10, "x" * 1_000_000, "eyJhbGciOiJub25lIn0.e30."]
    requests = [VerifyRequest(token=token, required_scopes=("email:read",), actor=ANONYMOUS) for token in tokens]
    with django_assert_num_queries(0):
        decisions = decide(requests)
    assert {decision.reason for decision in decisions} == {Reason.INVALID_TOKEN}
    assert not any(decision.allowed or decision.audit_id for decision in decisions)


def test_a_batch_is_answered_in_order_and_each_is_logged(grant: Grant) -> None:
    scopes = ["email:read", "payments:charge", "email:send"]
    requests = [VerifyRequest(token=grant.access_token, required_scopes=(one,), actor=ANONYMOUS) for one in scopes]
    requests.insert(1, VerifyRequest(token="nonsense", required_scopes=("email:read",), actor=ANONYMOUS))

    decisions = decide(requests)

    assert [decision.allowed for decision in decisions] == [True, False, False, True]
    assert decisions[1].reason is Reason.INVALID_TOKEN
    assert decisions[2].missing_scopes == ("payments:charge",)
    assert len(entries()) == 3


def _expire_token(grant: Grant) -> None:
    AccessToken.objects.update(expires=datetime.fromisoformat("2026-01-01T00:00:00Z"))


def _expire_consent(grant: Grant) -> None:
    Consent.objects.filter(pk=grant.consent.pk).update(expires_at=datetime.fromisoformat("2026-01-01T00:00:00Z"))


ENDINGS: dict[Reason, Callable[[Grant], Any]] = {
    Reason.TOKEN_EXPIRED: _expire_token,
    Reason.TOKEN_REVOKED: lambda grant: revoke_token(actor=SYSTEM, token=grant.access_token),
    Reason.ORGANIZATION_SUSPENDED: lambda grant: suspend_organization(
        actor=SYSTEM, organization=grant.agent.organization, reason="test"
    ),
    Reason.AGENT_SUSPENDED: lambda grant: update_agent(
        actor=SYSTEM, agent=grant.agent, changes={"status": Agent.Status.SUSPENDED}
    ),
    Reason.USER_INACTIVE: lambda grant: deactivate_user(actor=SYSTEM, user=grant.user, reason="test"),
    Reason.CONSENT_REVOKED: lambda grant: revoke_consent(actor=SYSTEM, consent=grant.consent),
    Reason.CONSENT_EXPIRED: _expire_consent,
}


@cases("reason", ENDINGS, ids=str)
def test_each_ending_denies_with_its_reason(grant: Grant, reason: Reason) -> None:
    ENDINGS[reason](grant)
    decision = ask(grant)
    assert (decision.allowed, decision.reason) == (False, reason)
    assert entries()[0].content["reason"] == reason


def test_the_first_of_several_reasons_is_reported(grant: Grant) -> None:
    for reason in reversed(ENDINGS):
        ENDINGS[reason](grant)
        assert ask(grant, "payments:charge").reason is reason


def test_an_unknown_consent_status_denies(grant: Grant) -> None:
    Consent.objects.filter(pk=grant.consent.pk).update(status="paused")
    assert ask(grant).reason is Reason.CONSENT_REVOKED


def test_a_deleted_token_is_still_recognized_by_its_signature(grant: Grant) -> None:
    with time_machine.travel(datetime.now().astimezone() + timedelta(days=40), tick=False):
        sweep_tokens()
        assert not AccessToken.objects.exists()
        assert ask(grant).reason is Reason.TOKEN_EXPIRED
        assert len(entries()) == 1


def test_removing_a_scope_from_an_agent_narrows_the_grant_but_adding_one_does_not_widen_it(grant: Grant) -> None:
    update_agent(actor=SYSTEM, agent=grant.agent, changes={"allowed_scopes": ["email:read", "files:read"]})

    assert ask(grant, "email:read").granted_scopes == ("email:read",)
    assert ask(grant, "email:send").missing_scopes == ("email:send",)
    assert ask(grant, "files:read").missing_scopes == ("files:read",)


@cases(
    ("audience", "asked_by", "resource", "expected"),
    [
        (None, None, None, True),
        (None, None, "anything", True),
        (None, None, "own", True),
        (None, None, "foreign", False),
        (None, "own", None, True),
        (None, "foreign", None, False),
        ("own", "own", None, True),
        ("own", "foreign", None, False),
        ("own", None, None, False),
        ("own", None, "own", True),
        ("own", None, "foreign", False),
    ],
)
def test_a_token_is_allowed_only_for_its_audience(
    grant: Grant, audience: str | None, asked_by: str | None, resource: str | None, expected: bool
) -> None:
    other = make_grant(email="eve@example.com", developer="eve-dev@example.com")
    identifiers = {"own": "https://own.example", "foreign": "https://foreign.example"}
    servers = {
        name: ResourceServer.objects.create(
            organization=owner.agent.organization, name=name, identifier=identifiers[name]
        )
        for name, owner in (("own", grant), ("foreign", other))
    }
    if audience:
        mean_for(AccessToken.objects.filter(application=grant.agent), servers[audience])

    decision = ask(
        grant,
        credential=make_caller(servers[asked_by]) if asked_by else None,
        resource=identifiers.get(resource or "", resource),
    )

    assert decision.allowed is expected
    assert decision.reason is (None if expected else Reason.WRONG_AUDIENCE)


def test_a_policy_denial_names_the_rule_and_edits_apply_at_once(grant: Grant) -> None:
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
    policy = create_policy(actor=SYSTEM, organization=grant.agent.organization, name="No mail", rules=rules)

    decision = ask(grant)
    assert decision.reason is Reason.POLICY_DENIED
    assert decision.policy is not None
    assert (decision.policy.policy_id, decision.policy.rule_type) == (policy.id, "action_blocklist")
    assert read_entry(entries()[0]).content["policyId"] == policy.id

    update_policy(actor=SYSTEM, policy=policy, changes={"enabled": False})
    assert ask(grant).allowed


def test_an_unreadable_rule_denies(grant: Grant) -> None:
    policy = create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Odd", rules=[])
    type(policy).objects.filter(pk=policy.pk).update(rules=[{"type": "from_the_future", "config": {}}], version=9)
    assert ask(grant).reason is Reason.POLICY_DENIED


def test_a_limit_is_exact_within_a_batch_and_denied_requests_do_not_count(grant: Grant) -> None:
    rules = [{"type": "rate_limit", "config": {"maxRequests": 2, "windowSeconds": 3600, "scope": "per_user"}}]
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Two", rules=rules)
    bad = VerifyRequest(token=grant.access_token, required_scopes=("files:read",), actor=ANONYMOUS)
    good = VerifyRequest(token=grant.access_token, required_scopes=("email:read",), actor=ANONYMOUS)

    decisions = decide([bad, good, bad, good, good])

    assert [decision.allowed for decision in decisions] == [False, True, False, True, False]
    assert decisions[-1].retry_after_seconds
    assert 3500 < decisions[-1].retry_after_seconds <= 3660


def test_rules_check_the_address_in_the_context_or_an_anonymous_callers_own(grant: Grant) -> None:
    rules = [{"type": "ip_allowlist", "config": {"cidrs": ["203.0.113.0/24"]}}]
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Home", rules=rules)
    server = ResourceServer.objects.create(organization=grant.agent.organization, name="s", identifier="https://s")

    assert ask(grant).allowed
    assert not ask(grant, context={"ip": "198.51.100.1"}).allowed
    assert not ask(grant, credential=make_caller(server)).allowed
    assert ask(grant, credential=make_caller(server), context={"ip": "203.0.113.9"}).allowed


def test_nothing_is_allowed_or_counted_if_the_log_cannot_be_written(
    grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [{"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 60, "scope": "global"}}]
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="One", rules=rules)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(conversation, "encode", fail)
        with pytest.raises(DatabaseError):
            ask(grant)
    assert ask(grant).allowed


def test_deleting_a_user_ends_their_tokens_and_keeps_the_log(grant: Grant) -> None:
    ask(grant)
    User.objects.filter(pk=grant.user.pk).delete()

    assert ask(grant).reason is Reason.TOKEN_REVOKED
    assert len(entries()) == 2


def test_a_refused_caller_is_reported_as_no_decision(grant: Grant) -> None:
    server = ResourceServer.objects.create(organization=grant.agent.organization, name="s", identifier="https://s")
    before = sample("agentgate_decisions_total", outcome="allowed", reason="")

    decision = ask(grant, credential=Credential(server.id, "0" * 64))

    assert decision.is_caller_refused
    assert sample("agentgate_decisions_total", outcome="allowed", reason="") == before
    ask(grant)
    assert sample("agentgate_decisions_total", outcome="allowed", reason="") == before + 1
