"""The consent's state machine: who may decide, once, before it expires, for all or some scopes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from agents.errors import InvalidRedirectUri
from agents.services import update_agent
from consent.errors import ConsentAlreadyDecided, ConsentExpired
from consent.granting import approve_consent, deny_consent
from consent.models import AuthorizationCode, Consent
from consent.services import revoke_consent
from consent.tasks import sweep_consents
from core.actor import SYSTEM
from core.errors import DomainError, Forbidden, Invalid, NotFound
from resources.errors import InvalidScope, InvalidTarget
from tests.log import log_entries
from tests.shared import cases
from tests.threads import race
from tests.world import allow, as_user, ask, make_user

pytestmark = pytest.mark.django_db


@cases(
    ("fields", "error"),
    [
        ({"redirect_uri": "https://evil.example/"}, InvalidRedirectUri),
        ({"redirect_uri": "https://smartmail.example/callback/"}, InvalidRedirectUri),
        ({"scopes": []}, InvalidScope),
        ({"scopes": ["no:such"]}, InvalidScope),
        ({"scopes": ["files:read"]}, InvalidScope),
        ({"resource": ["https://nobody.example"]}, InvalidTarget),
    ],
)
def test_an_invalid_request_is_refused(agent: Any, fields: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        ask(agent, **fields)
    assert not Consent.objects.exists()


def test_an_agent_that_requires_pkce_must_send_a_challenge(agent: Any) -> None:
    agent = update_agent(actor=SYSTEM, agent=agent, changes={"require_pkce": True})
    with pytest.raises(Invalid, match="required"):
        ask(agent)


def test_a_suspended_agent_can_neither_request_nor_be_granted_consent(agent: Any, ada: Any) -> None:
    pending = ask(agent)
    agent = update_agent(actor=SYSTEM, agent=agent, changes={"status": "suspended"})
    with pytest.raises(Forbidden):
        ask(agent)
    pending.refresh_from_db()
    with pytest.raises(Forbidden):
        allow(pending, ada)


def test_only_requested_scopes_can_be_granted_and_at_least_one(agent: Any, ada: Any) -> None:
    with pytest.raises(InvalidScope):
        allow(ask(agent), ada, ["payments:charge"])
    with pytest.raises(InvalidScope):
        allow(ask(agent), ada, [])
    assert allow(ask(agent), ada, ["email:send"]).granted_scopes == ["email:send"]


def test_only_the_hinted_user_can_decide(agent: Any, ada: Any) -> None:
    eve = make_user("eve@example.com")
    pending = ask(agent, user_id=ada.id)
    for decide in (allow, lambda consent, user: deny_consent(actor=as_user(user), consent=consent, user=user)):
        with pytest.raises(NotFound):
            decide(pending, eve)
    assert allow(pending, ada).user == ada


def test_a_decision_is_final_and_hidden_from_other_users(agent: Any, ada: Any) -> None:
    pending = ask(agent)
    stale = Consent.objects.get(pk=pending.pk)
    allow(pending, ada)
    with pytest.raises(ConsentAlreadyDecided):
        deny_consent(actor=as_user(ada), consent=stale, user=ada)
    with pytest.raises(NotFound):
        allow(Consent.objects.get(pk=pending.pk), make_user("eve@example.com"))
    assert AuthorizationCode.objects.count() == 1


def test_a_request_expires_after_ten_minutes(agent: Any, ada: Any) -> None:
    with time_machine.travel(datetime.now().astimezone(), tick=False) as traveller:
        pending = ask(agent)
        traveller.shift(timedelta(minutes=10))
        with pytest.raises(ConsentExpired):
            allow(pending, ada)
        assert sweep_consents() == 1
        assert sweep_consents() == 0
        with pytest.raises(ConsentExpired):
            allow(pending, ada)


def test_revoking_twice_logs_one_entry_and_a_pending_consent_cannot_be_revoked(agent: Any, ada: Any) -> None:
    pending = ask(agent)
    with pytest.raises(ConsentAlreadyDecided):
        revoke_consent(actor=SYSTEM, consent=pending)
    granted = allow(pending, ada)
    first = revoke_consent(actor=as_user(ada), consent=granted).revoked_at
    assert revoke_consent(actor=as_user(ada), consent=granted).revoked_at == first
    assert log_entries(event="consent.revoked").count() == 1


def test_the_redirect_has_code_state_and_issuer(agent: Any, ada: Any, settings: Any) -> None:
    pending = ask(agent, state="s&s=1")
    url = approve_consent(actor=as_user(ada), consent=pending, user=ada).redirect_url
    assert url.startswith("https://smartmail.example/callback?code=agcode_")
    assert "&state=s%26s%3D1&iss=http%3A%2F%2Flocalhost%3A8000%2Foauth" in url


@pytest.mark.django_db(transaction=True)
def test_approving_and_denying_at_once_has_one_outcome(agent: Any, ada: Any) -> None:
    approved = 0
    for _ in range(5):
        pending = ask(agent)
        acts: list[Callable[[Consent], Any]] = [
            lambda consent: approve_consent(actor=as_user(ada), consent=consent, user=ada),
            lambda consent: deny_consent(actor=as_user(ada), consent=consent, user=ada),
        ]
        outcomes = race([partial(_decide, act, pending.pk) for act in acts])
        refused = [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
        pending.refresh_from_db()
        assert [type(one) for one in refused] == [ConsentAlreadyDecided]
        approved += pending.status == "approved"
        assert AuthorizationCode.objects.count() == approved


def _decide(act: Callable[[Consent], Any], consent_id: str) -> Any:
    return act(Consent.objects.select_related("agent").get(pk=consent_id))
