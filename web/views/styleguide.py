"""Every component of the pages in every state, for those who change them. Only with `DEBUG`."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from consent.models import Approval
from consent.statuses import ApprovalStatus, ConsentStatus
from core import clock
from core.money import Amount
from resources.catalogue import catalogue
from resources.models import RISK_LEVELS
from web.approving.diffs import read_diff
from web.approving.rules import Replayed, ShownRule
from web.consent_screen.form import Choice
from web.forms.entrance import SignUpForm
from web.icons import PATHS
from web.limit_editor.fields import limit_fields

LONG_NAME = "Averyveryverylongnamewithoutanyspace" * 2
COLOURS = ("paper", "surface", "sunken", "ink", "muted", "accent", "control", "hairline", *RISK_LEVELS)
SAMPLE = ("calendar:freebusy", "email:read", "email:send", "payments:charge")
DIFF = "--- a/greeting.txt\n+++ b/greeting.txt\n Dear reader,\n-Hello\n+Good morning\n+and thank you for your letter."
RATE = {"type": "rate_limit", "config": {"maxRequests": 20, "windowSeconds": 86_400, "scope": "per_user"}}


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    if not settings.DEBUG:
        raise Http404
    for level in (messages.SUCCESS, messages.INFO, messages.WARNING, messages.ERROR):
        messages.add_message(request, level, f"A message of the level {messages.DEFAULT_TAGS[level]}.")
    return render(request, "web/styleguide.html", _context())


def _context() -> dict[str, Any]:
    now = clock.now()
    return {
        "colours": COLOURS,
        "icons": PATHS,
        "risks": RISK_LEVELS,
        "scopes": [catalogue()[scope] for scope in SAMPLE],
        "choices": _choices(),
        "consent_statuses": ConsentStatus.values,
        "approval_statuses": ApprovalStatus.values,
        "outcomes": ("allowed", "denied", "info"),
        "names": ("Mail Helper", LONG_NAME),
        "times": [now - timedelta(seconds=5), now - timedelta(hours=2), now + timedelta(days=3), None],
        "amounts": [{"value": "12.50", "currency": "EUR"}, {"value": "1000000", "currency": "JPY"}],
        "form": SignUpForm(),
        "wrong_form": SignUpForm({"email": "nobody", "password1": "short"}),
        "diff": read_diff(DIFF),
        "rules": _rules(now),
    }


def _choices() -> list[Choice]:
    """Return a choice in each state: preselected, with a mode and a limit, always asking, known and reworded."""
    read, send, pay = (catalogue()[scope] for scope in ("email:read", "email:send", "payments:charge"))
    return [
        Choice(read, ticked=True),
        Choice(send, ticked=False, mode="ask", limits=limit_fields(send, [RATE])),
        Choice(pay, ticked=False, only=["savings", LONG_NAME]),
        Choice(read, ticked=False, is_known=True, is_reworded=True),
    ]


def _rules(now: datetime) -> list[ShownRule]:
    """Return a rule that is offered with its evidence, and one in force."""
    answers = ((_("Approved"), True), (_("Denied"), False))
    offered = ShownRule(
        example="apr_1",
        agent=LONG_NAME,
        sentence=mark_safe("Pay up to €20.00 to <bdi>Corner Shop</bdi>, at most 3 times a day"),
        ceiling=Amount("20.00", "EUR"),
        per_day=3,
        answered=38,
        total=41,
        undecided=1,
        replay=[
            Replayed("apr_1", now - timedelta(days=days), Amount("12.50", "EUR"), answer, passes)
            for days, (answer, passes) in enumerate(answers)
        ],
    )
    row = Approval(id="apr_2", decided_at=now - timedelta(days=2), expires_at=now + timedelta(days=28))
    return [offered, replace(offered, example="apr_2", agent="Mail Helper", replay=[], accepted=row)]
