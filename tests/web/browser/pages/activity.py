"""The history: a busy one with long names, its entries, and searches."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from time_machine import travel

from accounts.models import User
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.terms import GivenTerms
from core import clock
from core.actor import Actor
from tests.web.browser.pages.group import Content, Group, Page
from tests.web.browser.pages.samples import LONG, RULES, WIDE
from tests.world import ANONYMOUS, allow, as_user, ask, make_agent, make_developer, make_user

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
PAID = {
    "amount": {"value": "129.00", "currency": "EUR"},
    "context": {"recipient": "Deutsche Bahn", "target": "Order 7"},
}
WRITTEN = {"verb": "send", "recipient": "anna@example.com", "target": "Report.pdf", "text": "Hello Anna,\n\nsee you."}
SHORTENED = {
    "size": 9000,
    "sha256": "00",
    "beginning": '{"text":"' + LONG,
    "fields": ["recipient", LONG],
    "named": {"recipient": f"{LONG}@example.com"},
}
OWN_LIMIT = {"ruleType": "rate_limit", "limitedBy": "user"}


def make() -> Content:
    with travel(clock.now() - 3 * DAY):
        ada, developer = make_user("ada@example.com", "Ada"), make_developer("dev@example.com", "Acme Robotics")
        agents = (make_agent(developer, name=name) for name in ("SmartMail", "Ledgerbot", LONG))
        mail, pay, long = (allow(ask(agent), ada) for agent in agents)
        terms = GivenTerms(limits={"email:send": [RULES[0]]})
        narrow_consent(actor=as_user(ada), user=ada, consent=long, narrowing=Narrowing(terms=terms))
    call(pay, 2 * DAY + 60 * MINUTE, ["payments:charge"], personal=PAID)
    for number in range(30):
        call(pay if number % 2 else mail, 2 * DAY - number * MINUTE, ["email:send", "email:read"][number % 2 :])
    ids = older_ids(long)
    first = on_one_day(300 * MINUTE, span=42 * MINUTE)
    for number in range(42):
        call(mail, first - number * MINUTE, ["email:read"], resource=f"https://mail.example/{number}")
    ids |= {
        "written": call(mail, 120 * MINUTE, ["email:send"], personal={"context": {**WRITTEN, LONG: {"list": [LONG]}}}),
        "asked": deny(pay, 45 * MINUTE, "approval_required", personal=PAID, metadata={"approvalId": "apr_0"}),
        "missing": deny(pay, 30 * MINUTE, "insufficient_scope", metadata={"missingScopes": ["email:send"]}),
        "signed_in": sign_in(ada),
    }
    return Content(ada.email, ids)


def on_one_day(ago: timedelta, span: timedelta) -> timedelta:
    """Return `ago`, or as much more that what spans so long from then on has no midnight in it: each day is a group."""
    start = clock.now() - ago
    return ago if start.date() == (start + span).date() else ago + span


def older_ids(long: Consent) -> dict[str, str]:
    """Write yesterday's entries and return their ids."""
    return {
        "long": call(
            long,
            DAY,
            ["email:send"],
            resource=WIDE,
            personal={"shortenedContext": SHORTENED},
        ),
        "limited": deny(long, DAY - MINUTE, "policy_denied", metadata=OWN_LIMIT),
    }


def call(consent: Consent, ago: timedelta, scopes: list[str], **fields: Any) -> str:
    """Write what the agent was allowed to do, so long ago."""
    draft = Draft(
        event=Event.TOKEN_VERIFY,
        actor=Actor("service"),
        outcome=Outcome.ALLOWED,
        organization_id=consent.agent.organization_id,
        user_id=consent.user_id,
        agent_id=consent.agent_id,
        consent_id=consent.id,
        scopes=scopes,
    )
    return write(draft._replace(**fields), ago)


def deny(consent: Consent, ago: timedelta, reason: str, **fields: Any) -> str:
    return call(consent, ago, ["email:send"], outcome=Outcome.DENIED, reason=reason, **fields)


def sign_in(user: User) -> str:
    draft = Draft(Event.USER_SIGNED_IN, ANONYMOUS.acting_as("user", user.id), Outcome.ALLOWED, user_id=user.id)
    return write(draft, 5 * MINUTE)


@transaction.atomic
def write(draft: Draft, ago: timedelta) -> str:
    return append([draft], at=clock.now() - ago)[0]


def report(tab: Any) -> None:
    tab.page.locator("main .button--danger").click()
    tab.page.locator("main .steps").wait_for()


GROUPS = [
    Group(
        "activity",
        make,
        [
            "/activity",
            "/activity?outcome=denied&since=2026-01-01&q=email&agent=SmartMail",
            "/activity?q=nothing",
            "/activity?kind=account",
            "/activity/{long}",
            "/activity/{written}",
            "/activity/{asked}",
            "/activity/{signed_in}",
            "/activity/{written}/dispute",
            Page("/activity/{long}/dispute", report, "reported"),
        ],
        [
            "/activity?agent=nobody",
            "/activity/{limited}",
            "/activity/{missing}",
            "/activity/{signed_in}/dispute",
        ],
    )
]
