"""Takes the pictures of `docs/people/` and of the README again, from pages with example data:

    .venv/bin/python -m pytest tests/web/browser/take_pictures.py

Look at them before you commit them. Each is as large as `web/public/docs/markdown.py` says.
"""

from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consent.models import Consent
from consent.narrowing import Narrowing, narrow_consent
from consent.terms import GivenTerms
from core.actor import SYSTEM
from developers.models import Developer, Organization
from developers.services import verify_organization
from tests.approvals import make_approval
from tests.clean_environment import ROOT
from tests.web.browser.pages.activity import call, deny
from tests.web.browser.pages.approvals import pay
from tests.world import allow, as_user, ask, make_agent, make_developer, make_user
from web.public.docs.markdown import PICTURE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCALE = 2
QUALITY = 80
FOLDER = ROOT / "docs" / "images"
MINUTE = timedelta(minutes=1)
SENT = {"context": {"verb": "send", "recipient": "bob@example.com"}}
READ = {"context": {"verb": "read", "target": "Invoice of the hotel"}}
PAID = {"amount": {"value": "19.90", "currency": "EUR"}, "context": {"verb": "pay", "recipient": "shop.example"}}


def verified(email: str, name: str, domain: str) -> Developer:
    developer = make_developer(email, name)
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    Organization.objects.filter(pk=developer.organization_id).update(domain=domain)
    developer.organization.refresh_from_db()
    return developer


def act(mail: Consent, shop: Consent) -> None:
    """Let both agents do what Activity shows."""
    call(mail, 95 * MINUTE, ["email:read"], personal=READ)
    call(mail, 80 * MINUTE, ["email:send"], personal=SENT)
    call(shop, 60 * MINUTE, ["payments:charge"], personal=PAID)
    deny(shop, 55 * MINUTE, "insufficient_scope", personal=SENT, metadata={"missingScopes": ["email:send"]})
    call(mail, 30 * MINUTE, ["email:read"], personal=READ)


@pytest.fixture
def paths() -> dict[str, str]:
    """The page of each picture."""
    ada, acme = make_user("ada@example.com", "Ada"), verified("dev@acme.example", "Acme Robotics", "acme.example")
    shops = verified("dev@shops.example", "Shop Helpers", "shops.example")
    smart_mail = make_agent(acme, name="SmartMail", description="Sorts your mail and drafts the answers.")
    mail = allow(ask(smart_mail), ada)
    shop = allow(
        ask(make_agent(shops, name="Basket", allowed_scopes=["payments:charge"]), scopes=["payments:charge"]), ada
    )
    twenty = {"type": "rate_limit", "config": {"maxRequests": 20, "windowSeconds": 86_400, "scope": "per_user"}}
    narrowing = Narrowing(terms=GivenTerms(modes={"email:send": "ask"}, limits={"email:send": [twenty]}))
    narrow_consent(actor=as_user(ada), user=ada, consent=mail, narrowing=narrowing)
    act(mail, shop)
    boots = pay("shop.example", "19.90") | {"text": "One pair of boots, size 39"}
    asked = make_approval(shop, scopes=["payments:charge"], asked_scopes=["payments:charge"], context=boots)
    planner = make_agent(
        acme,
        name="Trip Planner",
        description="Finds trains and keeps your calendar.",
        allowed_scopes=["calendar:read", "email:read", "email:send"],
    )
    wanted = ask(planner, scopes=["calendar:read", "email:read", "email:send"])
    return {
        "consent": f"/consent/{wanted.id}",
        "approval": f"/approvals/{asked.id}",
        "connections": "/connections",
        "connection": f"/connections/{mail.id}",
        "activity": "/activity",
        "account": "/account/security",
    }


def test_take_pictures(open_tab: Any, paths: dict[str, str]) -> None:
    width, height = (pixels // SCALE for pixels in PICTURE)
    tab = open_tab(javascript=True, width=width, device_scale_factor=SCALE, reduced_motion="reduce")
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.become("ada@example.com")
    for name, path in paths.items():
        tab.goto(path)
        tab.page.evaluate("document.fonts.ready")
        picture = tab.devtools.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        Path(FOLDER / f"{name}.webp").write_bytes(b64decode(picture["data"]))
