"""A user has one live consent per agent, even after concurrent requests."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction

from consent.codes import AUTHORIZATION_CODE_LIFETIME
from consent.connections import ALL_REQUESTED, Choice
from consent.errors import ConnectionChanged
from consent.granting import approve_consent
from consent.models import AuthorizationCode, Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.selectors import connection_state
from consent.services import revoke_consent
from consent.terms import GivenTerms
from core import clock
from core.secrets import digest
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.errors import OrganizationSuspended
from developers.services import suspend_organization
from resources.errors import ServiceSuspended
from resources.services import register_resource_server
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS, allow, as_user, ask, make_developer, make_user
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.models import TokenFamily
from tokens.refresh import refresh_tokens

ROUNDS = 3
RATE = {"type": "rate_limit", "config": {"maxRequests": 9, "windowSeconds": 60, "scope": "per_user"}}
STATUS = Consent.Status


def code_for(agent: Any, user: Any, *scopes: str) -> str:
    return approve_consent(actor=as_user(user), consent=ask(agent, scopes=list(scopes)), user=user).code


def exchange(agent: Any, code: str) -> Any:
    return exchange_code(actor=ANONYMOUS, agent=agent, code=code)


def refresh(agent: Any, token: IssuedTokens) -> Any:
    return refresh_tokens(actor=ANONYMOUS, agent=agent, refresh_token=str(token.refresh_token))


def approving(pending: Consent, user: Any, choice: Choice = ALL_REQUESTED) -> Callable[[], Any]:
    def act() -> Any:
        fresh = Consent.objects.select_related("agent__organization").get(pk=pending.pk)
        return approve_consent(actor=as_user(user), consent=fresh, user=user, choice=choice)

    return act


def overtake(first: Callable[[], Any], second: Callable[[], Any], at_end: Callable[[], Any] = lambda: None) -> Any:
    """Start `second` after `first` has returned but not committed. Return both results.

    The commit follows a moment later. `at_end` is called just before it.
    """
    is_done = threading.Event()

    def slowly() -> Any:
        with transaction.atomic():
            result = first()
            is_done.set()
            time.sleep(0.2)
            at_end()
        return result

    def then() -> Any:
        is_done.wait(30)
        return second()

    return race([slowly, then])


def live_consent_of(user: Any) -> Consent:
    return Consent.objects.get(user=user, status=STATUS.APPROVED)


def decision_on(token: IssuedTokens, scope: str = "email:read") -> Any:
    return decide([VerifyRequest(token=token.access_token, required_scopes=(scope,), actor=ANONYMOUS)])[0]


def test_the_database_allows_one_approved_consent_per_user_and_agent(agent: Any, ada: Any) -> None:
    """The organization of a stock client's first service makes no difference."""
    other = make_developer("other@example.com", "Other").organization
    now = clock.now()

    def insert(organization: Any) -> None:
        Consent.objects.create(
            agent=agent,
            organization=organization,
            user=ada,
            status=STATUS.APPROVED,
            requested_scopes=[],
            redirect_uri="",
            created_at=now,
            expires_at=now,
        )

    insert(agent.organization)
    for organization in (agent.organization, other, None):
        with pytest.raises(IntegrityError), transaction.atomic():
            insert(organization)


def test_a_page_cannot_restore_a_connection_revoked_while_it_was_open(agent: Any, ada: Any) -> None:
    """The user revokes the connection while the page is open. Allowing the page must not restore its scopes."""
    shown = allow(ask(agent, scopes=["email:send"]), ada)
    pending = ask(agent, scopes=["email:read"])
    revoke_consent(actor=as_user(ada), consent=shown)
    choice = Choice(scopes=["email:read", "email:send"], is_whole=True, shown_state=connection_state(shown))
    with pytest.raises(ConnectionChanged):
        approve_consent(actor=as_user(ada), consent=pending, user=ada, choice=choice)
    pending.refresh_from_db()
    assert pending.status == STATUS.PENDING


@cases(
    "narrowing",
    [
        Narrowing(terms=GivenTerms(modes={"email:send": "ask"})),
        Narrowing(terms=GivenTerms(limits={"email:send": [RATE]})),
        Narrowing(terms=GivenTerms(guards={"data_flow": "deny"})),
        Narrowing(remove_scopes=["email:send"]),
        Narrowing(lifetime=timedelta(hours=1)),
    ],
    ids=["mode", "limit", "guard", "scope", "end"],
)
def test_a_page_cannot_undo_a_narrowing_while_it_was_open(agent: Any, ada: Any, narrowing: Narrowing) -> None:
    shown = allow(ask(agent, scopes=["email:read", "email:send"]), ada)
    choice = Choice(scopes=["email:read", "email:send"], is_whole=True, shown_state=connection_state(shown))
    narrow_consent(actor=as_user(ada), user=ada, consent=shown, narrowing=narrowing)
    with pytest.raises(ConnectionChanged):
        approving(ask(agent, scopes=["email:read"]), ada, choice)()
    assert live_consent_of(ada).id == shown.id


def test_a_narrowing_that_changes_nothing_leaves_the_page_valid(agent: Any, ada: Any) -> None:
    shown = allow(ask(agent, scopes=["email:read"]), ada)
    choice = Choice(scopes=["email:read"], is_whole=True, shown_state=connection_state(shown))
    narrowing = Narrowing(terms=GivenTerms(modes={"email:read": "allow"}))
    narrow_consent(actor=as_user(ada), user=ada, consent=shown, narrowing=narrowing)
    pending = ask(agent, scopes=["email:read"])
    approving(pending, ada, choice)()
    assert live_consent_of(ada).id == pending.id


@pytest.mark.django_db(transaction=True)
def test_parallel_approvals_leave_one_live_consent(agent: Any, ada: Any) -> None:
    for _ in range(ROUNDS):
        pending = [ask(agent, scopes=[scope]) for scope in ("email:read", "email:send", "profile:read")]
        approvals = race([approving(one, ada) for one in pending])
        live = live_consent_of(ada)
        assert {approval.consent.id for approval in approvals} == {one.id for one in pending}
        assert set(live.granted_scopes) == {"email:read", "email:send", "profile:read"}
        replaced = Consent.objects.filter(user=ada, status=STATUS.REPLACED)
        assert set(replaced.values_list("replaced_by", flat=True)) == {live.id}
        tokens = [exchange(agent, approval.code) for approval in approvals]
        assert {one.family.consent_id for one in tokens} == {live.id}


@pytest.mark.django_db(transaction=True)
def test_the_first_two_approvals_in_parallel_leave_one_live_consent(agent: Any) -> None:
    for number in range(ROUNDS):
        user = make_user(f"person-{number}@example.com")
        race([approving(ask(agent), user), approving(ask(agent), user)])
        assert live_consent_of(user).predecessors.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_approval_racing_a_revocation_of_the_earlier_consent(agent: Any, ada: Any) -> None:
    """If the revocation is first, the approval restores nothing. If it is second, it revokes the replacement."""
    for _ in range(ROUNDS):
        token = exchange(agent, code_for(agent, ada, "email:read"))
        earlier = live_consent_of(ada)
        pending = ask(agent, scopes=["profile:read"])
        _, revoked = race([approving(pending, ada), lambda one=earlier: revoke_consent(actor=ANONYMOUS, consent=one)])
        assert decision_on(token).reason == "consent_revoked"
        live = Consent.objects.filter(user=ada, status=STATUS.APPROVED)
        if revoked.id == earlier.id:
            assert live.get().granted_scopes == ["profile:read"]
            revoke_consent(actor=ANONYMOUS, consent=live.get())
        else:
            assert (revoked.id, live.count()) == (pending.id, 0)


@pytest.mark.django_db(transaction=True)
def test_an_approval_on_the_page_racing_a_revocation_leaves_nothing_live(agent: Any, ada: Any) -> None:
    for _ in range(ROUNDS):
        code_for(agent, ada, "email:read")
        earlier = live_consent_of(ada)
        pending = ask(agent, scopes=["profile:read"])
        choice = Choice(scopes=["email:read", "profile:read"], is_whole=True, shown_state=connection_state(earlier))
        race([approving(pending, ada, choice), lambda one=earlier: revoke_consent(actor=ANONYMOUS, consent=one)])
        assert not Consent.objects.filter(user=ada, status=STATUS.APPROVED).exists()


@pytest.mark.django_db(transaction=True)
def test_a_revocation_that_waits_for_an_approval_revokes_the_new_consent(agent: Any, ada: Any) -> None:
    """Both lock the user's row. Otherwise the revocation would find only the consent that was just replaced."""
    code_for(agent, ada, "email:read")
    earlier = live_consent_of(ada)
    approve_now = approving(ask(agent, scopes=["profile:read"]), ada)
    _, revoked = overtake(approve_now, lambda: revoke_consent(actor=ANONYMOUS, consent=earlier))
    assert (revoked.status, revoked.predecessors.get().id) == (STATUS.REVOKED, earlier.id)
    assert not Consent.objects.filter(user=ada, status=STATUS.APPROVED).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("which", ["agent", "service"])
def test_nothing_is_granted_after_a_suspension_has_returned(agent: Any, ada: Any, which: str) -> None:
    service = make_developer("service@example.com", "Service").organization
    register_resource_server(
        actor=ANONYMOUS,
        organization=service,
        name="Mail",
        identifier="https://mail.example/api",
        scopes=["email:read"],
    )
    stopped = agent.organization if which == "agent" else service
    pending = ask(agent, scopes=["email:read"], resource=["https://mail.example/api"])
    order: list[str] = []

    def suspend() -> None:
        suspend_organization(actor=ANONYMOUS, organization=stopped, reason="abuse")
        order.append("suspended")

    approval, _ = overtake(approving(pending, ada), suspend, at_end=lambda: order.append("approved"))
    assert approval.code
    assert order == ["approved", "suspended"]
    again = approving(copy_as_pending(pending), ada)
    with pytest.raises((OrganizationSuspended, ServiceSuspended)):
        again()


def copy_as_pending(earlier: Consent) -> Consent:
    """Return a pending copy of an earlier request, because a suspended agent cannot create one."""
    earlier.pk = None
    earlier._state.adding = True
    earlier.status = STATUS.PENDING
    earlier.save()
    return earlier


@pytest.mark.django_db(transaction=True)
def test_an_approval_racing_a_refresh_keeps_the_tokens_alive(agent: Any, ada: Any) -> None:
    token = exchange(agent, code_for(agent, ada, "email:read"))
    for _ in range(ROUNDS):
        pending = ask(agent, scopes=["email:read"])
        _, renewed = race([approving(pending, ada), lambda one=token: refresh(agent, one)])
        assert isinstance(renewed, IssuedTokens)
        decision = decision_on(renewed)
        assert (decision.allowed, decision.consent_id) == (True, pending.id)
        token = renewed


@pytest.mark.django_db(transaction=True)
def test_an_approval_racing_the_exchange_of_an_earlier_code(agent: Any, ada: Any) -> None:
    for _ in range(ROUNDS):
        code = code_for(agent, ada, "email:read")
        pending = ask(agent, scopes=["profile:read"])
        _, token = race([approving(pending, ada), lambda one=code: exchange(agent, one)])
        assert isinstance(token, IssuedTokens), token
        decision = decision_on(token)
        assert (decision.allowed, decision.consent_id) == (True, pending.id)
        assert set(TokenFamily.objects.values_list("consent", flat=True)) == {pending.id}


@cases("is_old", [False, True], ids=["used", "expired"])
def test_an_approval_leaves_codes_that_nothing_redeems(agent: Any, ada: Any, is_old: bool) -> None:
    code = code_for(agent, ada, "email:read")
    earlier = live_consent_of(ada)
    when = clock.now() + (2 * AUTHORIZATION_CODE_LIFETIME if is_old else timedelta())
    if not is_old:
        exchange(agent, code)
    with time_machine.travel(when, tick=False):
        code_for(agent, ada, "profile:read")
        assert AuthorizationCode.objects.get(code=digest(code)).consent == earlier
        assert not isinstance(exchange(agent, code), IssuedTokens)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["exchange", "refresh"])
def test_an_exchange_or_refresh_that_waits_for_an_approval_uses_the_new_consent(
    agent: Any, ada: Any, what: str
) -> None:
    code = code_for(agent, ada, "email:read")
    token = exchange(agent, code) if what == "refresh" else None
    approve_now = approving(ask(agent, scopes=["profile:read"]), ada)

    def go_on() -> Any:
        return refresh(agent, token) if token else exchange(agent, code)

    approval, issued = overtake(approve_now, go_on)
    assert isinstance(issued, IssuedTokens), issued
    decision = decision_on(issued)
    assert (decision.allowed, decision.consent_id) == (True, approval.consent.id)
