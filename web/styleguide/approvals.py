"""Samples of requests for approval, and of rules that follow from the answers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from consent.approval_services import Services
from consent.deeds import Act, describe_act
from consent.models import Approval
from consent.statuses import ApprovalStatus
from core import clock
from core.money import Amount
from resources.catalogue import catalogue
from resources.selectors import NamedService
from web.approving.asked import Outline
from web.approving.deeds import say_deed
from web.approving.diffs import read_diff
from web.approving.facts import Fact
from web.approving.rules import Replayed, ShownRule
from web.styleguide.parties import LONG_NAME, make_agent, verified

DIFF = (
    "--- a/greeting.txt\n+++ b/greeting.txt\n Dear reader,\n-Hello\n+Good morning\n+and thank you for your letter.\n+"
    + LONG_NAME * 2
)
PAYMENT = {"verb": "pay", "recipient": "Corner Shop", "amount": {"value": "12.50", "currency": "EUR"}}


def samples() -> dict[str, Any]:
    now = clock.now()
    return {
        "diff": read_diff(DIFF),
        "rules": _rules(now),
        "waiting": [
            _asked("pay", now, PAYMENT, scopes=("payments:charge",)),
            _asked("long", now, {"verb": "send email", "recipient": f"{LONG_NAME}@example.com"}, name=LONG_NAME),
        ],
        "decided": [_asked(f"is_{status}", now, PAYMENT, status=status) for status in ApprovalStatus.values[1:]],
        "timed": [_asked("timed", now, PAYMENT, status=ApprovalStatus.APPROVED)],
    }


def _asked(
    key: str,
    now: datetime,
    context: dict[str, Any],
    *,
    scopes: Sequence[str] = ("email:send",),
    status: str = ApprovalStatus.PENDING,
    name: str = "Mail Helper",
) -> Outline:
    approval = Approval(
        id=f"apr_{key}",
        agent=make_agent(name, verified()),
        scopes=list(scopes),
        context=context,
        status=status,
        created_at=now - timedelta(minutes=4),
        expires_at=now + timedelta(minutes=56),
        decided_at=None if status in (ApprovalStatus.PENDING, ApprovalStatus.EXPIRED) else now,
    )
    described = [catalogue()[scope] for scope in scopes]
    sentence = say_deed(describe_act(Act(scopes, "", "", context, lambda: described)))
    return Outline(approval, status, sentence, described, _services(name))


def _services(name: str) -> Services:
    """Return the services of a request: one that signed in, or with a long name one that the caller only names."""
    service = NamedService("res_1", "https://mail.example", name, "mail.example", "org_1", name, None)
    return Services("res_1", service, name != LONG_NAME, [])


def _rules(now: datetime) -> list[ShownRule]:
    """Return a rule that is offered with its evidence, and one in force."""
    answers = ((_("Approved"), True), (_("Denied"), False))
    offered = ShownRule(
        example="apr_1",
        agent=LONG_NAME,
        sentence=mark_safe("Pay up to €20.00 to <bdi>Corner Shop</bdi>, at most 3 times a day"),
        services=_services(LONG_NAME),
        ceiling=Amount("20.00", "EUR"),
        per_day=3,
        answered=38,
        total=41,
        undecided=1,
        replay=[
            Replayed("apr_1", now - timedelta(days=days), Amount("12.50", "EUR"), answer, passes)
            for days, (answer, passes) in enumerate(answers)
        ],
        fixed=[Fact("account.iban", "DE02120300000000202051"), Fact('"c c"', LONG_NAME)],
        fixed_names='account, "c c"',
    )
    row = Approval(id="apr_2", decided_at=now - timedelta(days=2), expires_at=now + timedelta(days=28))
    return [
        offered,
        replace(offered, example="apr_2", agent="Mail Helper", services=_services("Mail"), replay=[], accepted=row),
    ]
