"""A decision has the first reason that applies. It is logged once if we signed the token, and otherwise not at all."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError

from accounts.services import deactivate_user
from agents.models import Agent
from agents.services import update_agent
from audit.events import Event
from audit.models import Entry
from consent.models import Consent
from consent.services import revoke_consent
from core.actor import SYSTEM
from decisions import conversation
from decisions.requests import Credential, Decision, Reason, VerifyRequest
from decisions.services import decide
from developers.services import suspend_organization
from developers.stopping import stop_organization
from policies.services import create_policy
from resources.models import ResourceServer
from tests.log import log_entries, personal_data
from tests.samples import sample
from tests.world import ANONYMOUS, Grant, as_owner, make_caller, make_developer, make_grant, mean_for
from tokens.models import AccessToken
from tokens.services import revoke_token

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
    Reason.ORGANIZATION_STOPPED: lambda grant: stop_organization(
        actor=as_owner(grant.agent.organization), organization=grant.agent.organization, reason="test"
    ),
    Reason.AGENT_SUSPENDED: lambda grant: update_agent(
        actor=SYSTEM, agent=grant.agent, changes={"status": Agent.Status.SUSPENDED}
    ),
    Reason.USER_INACTIVE: lambda grant: deactivate_user(actor=SYSTEM, user=grant.user, reason="test"),
    Reason.CONSENT_REVOKED: lambda grant: revoke_consent(actor=SYSTEM, consent=grant.consent),
    Reason.CONSENT_EXPIRED: _expire_consent,
}


def test_the_first_of_several_reasons_is_reported(grant: Grant) -> None:
    for reason in reversed(ENDINGS):
        ENDINGS[reason](grant)
        assert ask(grant, "payments:charge").reason is reason


def test_an_unknown_consent_status_denies(grant: Grant) -> None:
    Consent.objects.filter(pk=grant.consent.pk).update(status="paused")
    assert ask(grant).reason is Reason.CONSENT_REVOKED


def test_removing_a_scope_from_an_agent_narrows_the_grant_but_adding_one_does_not_widen_it(grant: Grant) -> None:
    update_agent(actor=SYSTEM, agent=grant.agent, changes={"allowed_scopes": ["email:read", "files:read"]})

    assert ask(grant, "email:read").granted_scopes == ("email:read",)
    assert ask(grant, "email:send").missing_scopes == ("email:send",)
    assert ask(grant, "files:read").missing_scopes == ("files:read",)


# Which service asks, and which resource an anonymous caller names: whether a token is allowed without an audience, and
# one for the service of its agent's organization.
WITHOUT = {("", ""): True, ("", "anything"): True, ("", "own"): True, ("", "foreign"): False}
WITHOUT |= {("own", ""): True, ("foreign", ""): False}
OWN = {("own", ""): True, ("foreign", ""): False, ("", ""): False, ("", "own"): True, ("", "foreign"): False}


def test_a_token_is_allowed_only_for_its_audience(grant: Grant) -> None:
    organizations = {"own": grant.agent.organization, "foreign": make_developer("eve@example.com").organization}
    servers = {
        name: ResourceServer.objects.create(organization=owner, name=name, identifier=f"https://{name}.example")
        for name, owner in organizations.items()
    }
    callers = {name: make_caller(server) for name, server in servers.items()}

    def is_allowed(asker: str, named: str) -> bool:
        resource = servers[named].identifier if named in servers else named
        decision = ask(grant, credential=callers.get(asker), resource=resource or None)
        assert decision.reason in (None, Reason.WRONG_AUDIENCE)
        return decision.allowed

    assert {each: is_allowed(*each) for each in WITHOUT} == WITHOUT
    mean_for(AccessToken.objects.filter(application=grant.agent), servers["own"])
    assert {each: is_allowed(*each) for each in OWN} == OWN


def test_an_unreadable_rule_denies(grant: Grant) -> None:
    policy = create_policy(actor=SYSTEM, organization=grant.agent.organization, name="Odd", rules=[])
    type(policy).objects.filter(pk=policy.pk).update(rules=[{"type": "from_the_future", "config": {}}], version=9)
    assert ask(grant).reason is Reason.POLICY_DENIED


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
        patch.setattr(conversation, "seal_rows", fail)
        with pytest.raises(DatabaseError):
            ask(grant)
    assert ask(grant).allowed


def test_a_refused_caller_is_reported_as_no_decision(grant: Grant) -> None:
    server = ResourceServer.objects.create(organization=grant.agent.organization, name="s", identifier="https://s")
    before = sample("agentgate_decisions_total", outcome="allowed", reason="")

    decision = ask(grant, credential=Credential(server.id, "0" * 64))

    assert decision.is_caller_refused
    assert sample("agentgate_decisions_total", outcome="allowed", reason="") == before
    ask(grant)
    assert sample("agentgate_decisions_total", outcome="allowed", reason="") == before + 1
