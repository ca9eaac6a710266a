"""What the pages of connections promise, and verify keeps from the next request on."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.test import Client

from approvals.models import Approval
from consent.connections import Choice
from consent.details import AuthorizationDetail
from consent.granting import approve_consent
from consent.terms import GivenTerms
from core import clock
from tests.approvals import make_approval
from tests.web import consent_screen
from tests.web.markup import text_of
from tests.world import ANONYMOUS, Grant, allow, as_user, ask, make_grant, sign_in
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.refresh import refresh_tokens

PAY, SEND, READ, BUSY = "payments:charge", "email:send", "email:read", "calendar:freebusy"
ALLOWED = (True, None, None)


@pytest.fixture
def grant(db: None) -> Grant:
    return make_grant(scopes=[READ, SEND, BUSY])


@pytest.fixture
def browser(grant: Grant) -> Client:
    return sign_in(grant.user)


def send(browser: Client, grant: Grant, **fields: Any) -> str:
    """Send a form of the page, and return the page that follows."""
    fields = {name.replace("__", ":").replace("_", "-"): value for name, value in fields.items()}
    answer = browser.post(f"/connections/{grant.consent.id}", fields, follow=True)
    assert answer.status_code == 200, unescape(answer.content.decode())
    return unescape(answer.content.decode())


def refresh(grant: Grant) -> Any:
    return refresh_tokens(actor=ANONYMOUS, agent=grant.agent, refresh_token=grant.refresh_token)


def verify(token: str, scope: str, **more: Any) -> tuple[bool, str | None, str | None]:
    return consent_screen.ruled(consent_screen.verify(token, scope, **more))


def test_a_number_of_times_counts_what_came_before(browser, grant):
    assert verify(grant.access_token, SEND) == ALLOWED
    form = {"change": "scope", "scope": SEND, "limit_window_email__send": "86400"}
    send(browser, grant, **form, limit_number_email__send="3")
    assert [verify(grant.access_token, SEND) for _ in range(3)][:2] == [ALLOWED, ALLOWED]
    send(browser, grant, **form, limit_number_email__send="2")
    assert verify(grant.access_token, SEND) == (False, "policy_denied", "rate_limit")
    assert verify(grant.access_token, READ) == ALLOWED, "other permissions have no limit"


def test_an_amount_holds_in_its_currency(db):
    grant = make_grant(scopes=[SEND, READ])
    # Its limits are set on the page of a connection, whatever the permission: a limit in force has its field.
    browser = sign_in(grant.user)
    limit = {"type": "spend_limit", "config": {"maxAmount": "60", "currency": "EUR", "windowSeconds": 86_400}}
    limit["config"]["scope"] = "per_user"
    grant.consent.terms = {"limits": {SEND: [limit]}}
    grant.consent.save()
    form = {"change": "scope", "scope": SEND, "limit_currency_email__send": "eur", "limit_period_email__send": "86400"}
    assert "At most €50.00 per day" in send(browser, grant, **form, limit_amount_email__send="50")

    def pay(value: str, currency: str = "EUR") -> tuple[bool, str | None, str | None]:
        return verify(grant.access_token, SEND, context={"amount": {"value": value, "currency": currency}})

    denied = (False, "policy_denied", "spend_limit")
    assert [pay("30"), pay("20.01"), pay("20"), pay("1", "USD")] == [ALLOWED, denied, ALLOWED, denied]
    assert verify(grant.access_token, SEND) == denied, "a request that states no amount is denied"


def test_only_the_recipients_remain(browser, grant):
    send(browser, grant, change="scope", scope=SEND, limit_only_email__send="acme.com, bob@example.com")
    for recipient, decision in {
        "ann@acme.com": ALLOWED,
        "bob@example.com": ALLOWED,
        "eve@example.com": (False, "policy_denied", "context_match"),
        "ann@acme.com.evil.com": (False, "policy_denied", "context_match"),
    }.items():
        assert verify(grant.access_token, SEND, context={"recipient": recipient}) == decision
    assert verify(grant.access_token, SEND) == (False, "policy_denied", "context_match")


def test_only_the_hours_remain(browser, grant):
    hour = clock.now().hour
    form = {"change": "scope", "scope": SEND, "limit_days_email__send": "1234567"}
    form |= {"limit_zone_email__send": "UTC"}
    start, end = f"{(hour + 2) % 24:02}:00", f"{(hour + 4) % 24:02}:00"
    send(browser, grant, **form, limit_from_email__send=start, limit_until_email__send=end)
    assert verify(grant.access_token, SEND) == (False, "policy_denied", "time_window")


def test_asking_holds_at_once(browser, grant):
    assert verify(grant.access_token, SEND) == ALLOWED
    assert "You are asked every time" in send(browser, grant, change="scope", scope=SEND, mode_email__send="ask")
    assert verify(grant.access_token, SEND)[1] == "approval_required"


def test_a_removed_permission_is_denied_at_once(browser, grant):
    send(browser, grant, change="remove", scope=SEND)
    assert verify(grant.access_token, SEND)[1] == "insufficient_scope"
    assert verify(grant.access_token, READ) == ALLOWED


def test_an_unticked_target_is_denied(grant, browser):
    calendars = AuthorizationDetail(type="calendar", identifiers=["home", "work"], actions=[BUSY])
    renewed = allow(ask(grant.agent, scopes=[BUSY], authorization_details=[calendars]), grant.user)

    def look(target: str) -> bool:
        return verify(grant.access_token, BUSY, context={"target": target})[0]

    assert look("home")
    assert look("work")
    grant.consent = renewed
    send(browser, grant, change="targets", **{"target-0-shown": "yes", "target-0": ["work"]})
    assert (look("home"), look("work")) == (False, True)


def test_an_earlier_end_holds(browser, grant):
    now = clock.now()
    with time_machine.travel(now, tick=False):
        send(browser, grant, change="lifetime", lifetime="hour")
    # An access token lasts for less than an hour, so only one that was refreshed lives until the end.
    with time_machine.travel(now + timedelta(minutes=59), tick=False):
        token = refresh(grant).access_token
        assert verify(token, READ) == ALLOWED
    with time_machine.travel(now + timedelta(hours=1), tick=False):
        assert verify(token, READ) == (False, "consent_expired", None)


def test_after_private_and_foreign_data_nothing_leaves(browser, grant):
    send(browser, grant, change="guard", guard="deny")
    assert verify(grant.access_token, SEND) == ALLOWED
    assert verify(grant.access_token, READ) == ALLOWED
    assert verify(grant.access_token, SEND) == (False, "policy_denied", "data_flow")


def test_a_pause_holds_until_it_is_lifted(browser, grant):
    for act, reason in (("pause", "consent_paused"), ("resume", None)):
        browser.post(f"/connections/{grant.consent.id}/{act}")
        assert verify(grant.access_token, READ)[1] == reason
    for act, reason in (("pause", "consent_paused"), ("resume", None)):
        browser.post(f"/connections/agents/{act}")
        assert verify(grant.access_token, READ)[1] == reason


def test_after_a_revocation_all_that_the_page_names_has_ended(browser, grant):
    send(browser, grant, change="scope", scope=SEND, mode_email__send="ask")
    asked = {"waiting": mail_to("ann"), "standing": mail_to("bob"), "rule": mail_to("shop")}
    approvals = {name: question(grant.access_token, context) for name, context in asked.items() if name != "rule"}
    browser.post(f"/approvals/{approvals['standing'].id}", {"decision": "target", "seconds": "86400"})
    approvals["rule"] = learn_from(browser, grant, asked["rule"])
    reasons = {name: verify(grant.access_token, SEND, context=context)[1] for name, context in asked.items()}
    assert reasons == {"waiting": "approval_required", "standing": None, "rule": None}

    page = text_of(browser, f"/connections/{grant.consent.id}/revoke")
    assert "The next request of this agent is denied." in page
    browser.post(f"/connections/{grant.consent.id}/revoke")
    assert verify(grant.access_token, READ)[1] == "consent_revoked"
    assert not isinstance(refresh(grant), IssuedTokens)
    ended = Approval.objects.in_bulk([each.id for each in approvals.values()])
    assert [each.status_at(clock.now()) for each in ended.values()] == ["expired"] * 3
    token = connect_again(grant)
    for context in asked.values():
        assert verify(token, SEND, context=context)[1] == "approval_required", "nothing outlives the connection"


def mail_to(name: str) -> dict[str, str]:
    return {"verb": "send", "recipient": f"{name}@example.com", "text": "Hello"}


def question(token: str, context: dict[str, str]) -> Approval:
    """Let the agent ask, and return what waits for the user."""
    decision = consent_screen.verify(token, SEND, context=context)
    return Approval.objects.get(pk=decision["approvalId"])


def learn_from(browser: Client, grant: Grant, context: dict[str, str]) -> Approval:
    """Approve often enough that a rule follows, and accept it on the page."""
    for number in range(5):
        asked = question(grant.access_token, {**context, "text": str(number)})
        browser.post(f"/approvals/{asked.id}", {"decision": "once"})
    browser.post("/approvals/rules", {"example": asked.id, "per_day": "5"})
    return Approval.objects.get(evidence__isnull=False)


def connect_again(grant: Grant) -> str:
    """Let the user allow the agent again, asking every time, and return the access token."""
    choice = Choice(terms=GivenTerms(modes={SEND: "ask"}))
    consent, actor = ask(grant.agent, scopes=[READ, SEND]), as_user(grant.user)
    approved = approve_consent(actor=actor, consent=consent, user=grant.user, choice=choice, signed_in_at=clock.now())
    issued = exchange_code(actor=ANONYMOUS, agent=grant.agent, code=approved.code)
    assert isinstance(issued, IssuedTokens)
    return issued.access_token


def test_what_is_approved_for_a_time_is_listed_and_taken_back(browser, grant):
    until = clock.now() + timedelta(days=2)
    standing = make_approval(grant.consent, status="approved", is_standing=True, expires_at=until)
    page = browser.get(f"/connections/{grant.consent.id}").content.decode()
    assert "Approved in advance" in page
    assert "bob@example.com" in page
    browser.post(f"/approvals/{standing.id}/revoke")
    assert "Approved in advance" not in browser.get(f"/connections/{grant.consent.id}").content.decode()


def test_what_is_approved_in_advance_is_an_exception_from_asking(browser, grant):
    assert "You are asked every time" in send(browser, grant, change="scope", scope=SEND, mode_email__send="ask")
    approved = {"expires_at": clock.now() + timedelta(days=2), "asked_scopes": [SEND]}
    make_approval(grant.consent, status="approved", is_standing=True, **approved)
    page = browser.get(f"/connections/{grant.consent.id}").content.decode()
    assert "You are asked, except for what you approved in advance" in page
    assert "You are asked every time" not in page
    assert "The agent may do this without asking you, until it ends or you take it back." in page


def test_a_later_request_keeps_the_tightened_terms(browser, grant):
    send(browser, grant, change="scope", scope=SEND, mode_email__send="ask")
    renewed = allow(ask(grant.agent, scopes=[READ]), grant.user)
    assert renewed.terms["modes"] == {SEND: "ask"}
