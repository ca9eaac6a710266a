"""Every component of the pages in every state, for those who change them. Only with `DEBUG`."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from consent.statuses import ApprovalStatus, ConsentStatus
from core import clock
from resources.catalogue import catalogue
from resources.models import RISK_LEVELS
from web.consent_screen.form import Choice
from web.forms.entrance import SignUpForm
from web.icons import PATHS
from web.limit_editor.fields import limit_fields

LONG_NAME = "Averyveryverylongnamewithoutanyspace" * 2
COLOURS = ("paper", "surface", "sunken", "ink", "muted", "accent", "control", "hairline", *RISK_LEVELS)
SAMPLE = ("calendar:freebusy", "email:read", "email:send", "payments:charge")
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
        "scopes": [
            catalogue()[scope] for scope in ("calendar:freebusy", "email:read", "email:send", "payments:charge")
        ],
        "choices": _choices(),
        "consent_statuses": ConsentStatus.values,
        "approval_statuses": ApprovalStatus.values,
        "outcomes": ("allowed", "denied", "info"),
        "names": ("Mail Helper", LONG_NAME),
        "times": [now - timedelta(seconds=5), now - timedelta(hours=2), now + timedelta(days=3), None],
        "amounts": [{"value": "12.50", "currency": "EUR"}, {"value": "1000000", "currency": "JPY"}],
        "form": SignUpForm(),
        "wrong_form": SignUpForm({"email": "nobody", "password1": "short"}),
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
