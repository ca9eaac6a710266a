"""Takes the pictures of `docs/people/` and of the README again, from pages with example data:

    .venv/bin/python -m pytest tests/web/browser/take_pictures.py

The numbers on them are those of the list below the picture, and the index has a detail of each. Look at them before you
commit them. Each is as large as `web/public/docs/markdown.py` says.
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
from web.public.docs.markdown import PICTURE, SMALL

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCALE = 2
QUALITY, SMALL_QUALITY = 80, 40
FOLDER = ROOT / "docs" / "images"
# What has a number on each picture: the first element with this selector.
MARKS = {
    "consent": ("h1", ".permission .scope__title", ".permission__when", ".until select"),
    "approval": ("h1", "text=Code", "text=Message", "main button:has-text('Approve once')"),
    "connections": ("h2 a", "text=Without asking", "text=If you approve", "main .button--danger:has-text('Revoke')"),
    "connection": ("button:has-text('Pause')", "text=Revoke access", "summary:has-text('Change')"),
    "activity": ("text=Filter", "text=Read your email", "text=Why?"),
    "account": (
        "main >> text=Sessions",
        "main >> text=Notifications",
        ".button:has-text('Add a passkey')",
        "text=Set up an app",
    ),
}
# Where the detail begins, below the masthead.
DETAIL_TOP, DETAIL_WIDTH = 72, 400
MARK = """(element, number) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const hidden = element.querySelector(".visually-hidden");
  if (hidden) range.setEndBefore(hidden);
  const lines = [...range.getClientRects()].filter((each) => each.width > 0);
  const isBox = element.matches(".button, button, select") || !lines.length;
  const place = isBox ? element.getBoundingClientRect() : lines.at(0);
  const line = lines.filter((each) => each.top < place.bottom);
  const right = isBox ? place.right - 14 : Math.max(...line.map((each) => each.right)) - 2;
  const mark = document.body.appendChild(document.createElement("b"));
  mark.textContent = number;
  mark.style.cssText = `position: absolute; z-index: 9; inset-block-start: ${place.top - 12}px;
    inset-inline-start: ${Math.min(right, innerWidth - 26)}px; inline-size: 24px; border-radius: 50%;
    outline: 2px solid var(--paper); background: var(--ink); color: var(--paper); font: 600 14px/24px var(--text);
    text-align: center`;
}"""
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
        detail = {"x": 0, "y": DETAIL_TOP, "width": DETAIL_WIDTH, "height": DETAIL_WIDTH * SMALL[1] / SMALL[0]}
        take(tab, f"{name}-small", quality=SMALL_QUALITY, clip=detail | {"scale": SMALL[0] / DETAIL_WIDTH / SCALE})
        for number, selector in enumerate(MARKS[name], 1):
            tab.page.locator(f"{selector} >> visible=true").first.evaluate(MARK, number)
        take(tab, name)


def take(tab: Any, name: str, **options: Any) -> None:
    picture = tab.devtools.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY, **options})
    Path(FOLDER / f"{name}.webp").write_bytes(b64decode(picture["data"]))
