"""Every decision is the same through Django's view and in the event loop: the response, and the log."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from accounts.services import deactivate_user
from agents.services import stop_agent
from audit.events import Event
from consent.models import Approval, Consent
from consent.services import revoke_consent
from core import clock
from core.actor import SYSTEM
from developers.acting import as_developer
from developers.services import suspend_organization
from policies.services import create_policy
from tests.log import log_entries, log_entry, personal_data
from tests.semantics.both import Both, Sent
from tests.semantics.conftest import Moment
from tests.semantics.requests import UNKNOWN, Scene, basic, batch, forward, introspect, question, verify
from tests.world import ANONYMOUS
from tokens.models import TokenFamily
from tokens.services import revoke_token

# Each entry has its own id, and its own salt in the digest of its personal data.
OWN = ("id", "personal")
NO_MAIL = {"type": "action_blocklist", "config": {"actions": ["email:*"]}}
ONCE = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "global"}}


def add_policy(scene: Scene, rule: dict[str, Any]) -> None:
    actor = as_developer(ANONYMOUS, scene.developer)
    create_policy(actor=actor, organization=scene.developer.organization, name="Rules", rules=[rule])


def deny(scene: Scene) -> None:
    add_policy(scene, NO_MAIL)


def end_token(scene: Scene) -> None:
    revoke_token(actor=SYSTEM, token=scene.token)


def delete_token(scene: Scene) -> None:
    """Delete the token's rows, as the sweep of expired families does."""
    TokenFamily.objects.all().delete()


def suspend_own(scene: Scene) -> None:
    suspend_organization(actor=SYSTEM, organization=scene.developer.organization, reason="test")


def suspend_foreign(scene: Scene) -> None:
    suspend_organization(actor=SYSTEM, organization=scene.foreign.server.organization, reason="test")


def stop(scene: Scene) -> None:
    stop_agent(actor=SYSTEM, agent=scene.grant.agent, reason="test")


def deactivate(scene: Scene) -> None:
    deactivate_user(actor=SYSTEM, user=scene.grant.user, reason="test")


def revoke(scene: Scene) -> None:
    revoke_consent(actor=SYSTEM, consent=scene.grant.consent)


def end_consent(scene: Scene) -> None:
    Consent.objects.filter(pk=scene.grant.consent.pk).update(expires_at=clock.now())


@dataclass(frozen=True)
class Case:
    """What makes a live token's request denied, and who asks: the `own` or the `foreign` server, or nobody."""

    reason: str
    act: Callable[[Scene], object] = lambda scene: None
    passes: timedelta = timedelta()
    scopes: str = "email:read"
    action: str = "email:read"
    server: str = "own"

    def caller(self, scene: Scene) -> str:
        return basic(getattr(scene, self.server)) if self.server else ""


CASES = {
    "allowed": Case(""),
    "allowed anonymously": Case("", server=""),
    "expired": Case("token_expired", passes=timedelta(hours=2)),
    "revoked": Case("token_revoked", end_token),
    "deleted": Case("token_revoked", delete_token),
    "deleted and expired": Case("token_expired", delete_token, passes=timedelta(hours=2)),
    "service suspended": Case("service_suspended", suspend_foreign, server="foreign"),
    "organization suspended": Case("organization_suspended", suspend_own, server=""),
    "agent stopped": Case("agent_suspended", stop),
    "user inactive": Case("user_inactive", deactivate),
    "consent revoked": Case("consent_revoked", revoke),
    "consent expired": Case("consent_expired", end_consent),
    "wrong audience": Case("wrong_audience", server="foreign"),
    "insufficient scope": Case("insufficient_scope", scopes="email:send"),
    "action of another scope": Case("insufficient_scope", action="email:delete"),
    "action of no scope": Case("insufficient_scope", action="payments:refund"),
    "policy": Case("policy_denied", deny),
}
DETAILS = {"context": {"ip": "192.0.2.9", "amount": 3, "text": "na\u00efve"}}
# The statuses of forward authorization. All other reasons are 401.
FORWARDED = {"": 200, "service_suspended": 403, "insufficient_scope": 403, "policy_denied": 403}


@pytest.mark.parametrize("name", CASES)
def test_a_decision_is_the_same_both_ways(scene: Scene, both: Both, moment: Moment, name: str) -> None:
    case = CASES[name]
    caller = case.caller(scene)
    moment.pass_(case.passes)
    case.act(scene)

    verified = ask(both, verify(scene.token, case.scopes, caller=caller, action=case.action, **DETAILS))
    assert (verified.json["allowed"], verified.json.get("reason", "")) == (not case.reason, case.reason)
    forwarded = ask(both, forward(scene.token, f"?scopes={case.scopes}&action={case.action}", caller=caller))
    assert forwarded.status == FORWARDED.get(case.reason, 401)
    assert forwarded.header("X-AgentGate-Reason") == case.reason


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.server])
def test_introspection_is_the_same_both_ways(scene: Scene, both: Both, moment: Moment, name: str) -> None:
    case = CASES[name]
    moment.pass_(case.passes)
    case.act(scene)

    answer = ask(both, introspect(scene.token, case.caller(scene)), is_named=False)
    assert answer.json["active"] is (case.reason in ("", "insufficient_scope", "policy_denied"))


def test_a_full_limit_is_the_same_both_ways(scene: Scene, both: Both) -> None:
    add_policy(scene, ONCE)
    caller = basic(scene.own)
    assert both.front.ask(verify(scene.token, caller=caller))[0].json["allowed"] is True

    verified = ask(both, verify(scene.token, caller=caller))
    assert verified.json["reason"] == "policy_denied"
    wait = str(verified.json["retryAfterSeconds"])
    assert ask(both, forward(scene.token, caller=caller)).header("Retry-After") == wait


def test_a_denial_by_the_user_is_said_both_ways(scene: Scene, both: Both) -> None:
    """In the answers, in those of a batch, to proxies, and in the log."""
    Consent.objects.filter(pk=scene.grant.consent.pk).update(terms={"modes": {"email:read": "ask"}})
    caller = basic(scene.own)
    for status in ("pending", "denied"):
        verified = ask(both, verify(scene.token, caller=caller)).json
        assert (verified["reason"], verified["approvalStatus"]) == ("approval_required", status)
        assert log_entry(entry_ids()[-1]).content["metadata"]["approvalStatus"] == status
        (decision,) = both.ask(batch(question(scene.token), caller=caller)).json["decisions"]
        assert decision["approvalStatus"] == status
        forwarded = ask(both, forward(scene.token, caller=caller))
        assert (forwarded.status, forwarded.header("X-AgentGate-Approval-Status")) == (403, status)
        assert forwarded.json["title"].startswith("The user denied" if status == "denied" else "The user must approve")
        Approval.objects.update(status=Approval.Status.DENIED, expires_at=clock.now() + timedelta(hours=1))


def test_a_batch_is_the_same_both_ways(scene: Scene, both: Both) -> None:
    questions = [question(scene.token, **DETAILS), question(UNKNOWN), question(scene.token, "email:send")]
    for caller in (basic(scene.own), ""):
        answer = both.ask(batch(*questions, caller=caller))
        reasons = [decision.get("reason") for decision in answer.json["decisions"]]
        assert reasons == [None, "invalid_token", "insufficient_scope"]
        assert [len(set(ids)) for ids in both.log_ids] == [2, 2]
        for of_django, of_front in zip(*both.log_ids, strict=True):
            assert content(of_front) == content(of_django)


def test_an_unknown_token_is_the_same_both_ways_and_leaves_no_entry(scene: Scene, both: Both) -> None:
    for caller in ("", basic(scene.own)):
        assert both.ask(verify(UNKNOWN, caller=caller)).json["reason"] == "invalid_token"
        assert both.ask(forward(UNKNOWN, caller=caller)).status == 401
    assert both.ask(introspect(UNKNOWN, basic(scene.own))).json == {"active": False}
    assert entry_ids() == []


def test_a_named_service_is_the_same_both_ways(scene: Scene, both: Both) -> None:
    """An anonymous caller names a service in `resource`, in any spelling."""
    for resource in ("HTTPS://OWN.example:443/", "https://foreign.example", "https://nowhere.example", "a name"):
        ask(both, verify(scene.token, resource=resource))
        ask(both, forward(scene.token, f"?scopes=email:read&resource={quote(resource, safe='')}"))


def ask(both: Both, sent: Sent, *, is_named: bool = True) -> Any:
    """Ask, and compare the entries that both have left in the log. `is_named` says whether the answers name them."""
    before = set(entry_ids())
    answer = both.ask(sent)
    of_django, of_front = [entry_id for entry_id in entry_ids() if entry_id not in before]
    if is_named:
        assert [set(ids) for ids in both.log_ids] == [{of_django}, {of_front}]
    assert content(of_front) == content(of_django)
    return answer


def entry_ids() -> list[str]:
    """Return the ids of all decisions in the log, in the order in which they were made."""
    found = log_entries(event__in=[Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED])
    return sorted(found.values_list("pk", flat=True))


def content(entry_id: str) -> dict[str, Any]:
    """Return all that an entry says and who can read it, without what is its own."""
    entry = log_entry(entry_id)
    kept = {name: value for name, value in entry.content.items() if name not in OWN}
    return {**kept, "personalData": personal_data(entry_id), "readers": set(entry.organization_ids)}
