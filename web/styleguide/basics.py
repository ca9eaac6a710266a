"""Samples of what all pages have: colours, icons, names, times, notices, forms and the masthead."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from accounts.models import User
from consent.statuses import ApprovalStatus, ConsentStatus
from core import clock
from developers.models import Developer
from resources.catalogue import catalogue
from resources.risks import RISK_LEVELS
from web.forms.entrance import CodeForm, SignUpForm
from web.icons import PATHS
from web.paging import Page
from web.styleguide.parties import LONG_NAME, make_agent, unverified, verified

COLOURS = ("paper", "surface", "sunken", "ink", "muted", "accent", "control", "hairline", *RISK_LEVELS)
SAMPLE = ("calendar:freebusy", "email:read", "email:send", "payments:charge")


def foundation() -> dict[str, Any]:
    now = clock.now()
    return {
        "colours": COLOURS,
        "icons": PATHS,
        "risks": RISK_LEVELS,
        "consent_statuses": ConsentStatus.values,
        "approval_statuses": ApprovalStatus.values,
        "outcomes": ("allowed", "denied", "info", "sandbox"),
        "names": ("Mail Helper", LONG_NAME),
        "times": [now - timedelta(seconds=5), now - timedelta(hours=2), now + timedelta(days=3), None],
        "amounts": [{"value": "12.50", "currency": "EUR"}, {"value": "1000000", "currency": "JPY"}],
        "organizations": (verified(), unverified(), None),
    }


def frame() -> dict[str, Any]:
    """Return what the masthead and the pager show in each state."""
    user = User(id="usr_guide", email="maria@example.com", name="Maria Rossi")
    staff = User(id="usr_staff", email=f"{LONG_NAME}@example.com".lower(), name=LONG_NAME, is_staff=True)
    developer = Developer(id="dev_guide", user=user, organization=unverified())
    return {
        "user": user,
        "staff": staff,
        "elsewhere": SimpleNamespace(path="/connections", developer=None),
        "portal": SimpleNamespace(path="/developer", developer=developer),
        "counts": ("1", "99+"),
        "pages": {
            "First page": Page([], "", "next"),
            "Page in the middle": Page([], "this", "next"),
            "Last page": Page([], "this", ""),
        },
    }


def forms() -> dict[str, Any]:
    return {"form": SignUpForm(), "wrong_form": SignUpForm({"email": "nobody", "password1": "short"})}


def entrance() -> dict[str, Any]:
    return {
        "waiting": {
            "Verified developer": make_agent("Mail Helper", verified()),
            "Long names": make_agent(LONG_NAME, unverified()),
            "No organization": make_agent("Desk Tool", None),
        },
        "asking": make_agent("Mail Helper", None),
        "asking_organizations": (verified(), unverified(), None),
        "code_form": CodeForm(),
        "wrong_code_form": CodeForm({"code": "1" * 41}),
        "long_email": f"{LONG_NAME}@example.com",
    }


def scopes() -> dict[str, Any]:
    return {"scopes": [catalogue()[scope] for scope in SAMPLE]}
