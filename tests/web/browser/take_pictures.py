"""Takes the pictures of `docs/people/` and of the README again, from pages with example data:

    .venv/bin/python -m pytest tests/web/browser/take_pictures.py -q -n0

Each is of a phone, in the light and the dark theme, as large as `web/public/docs/markdown.py` says. The numbers in its
margin are those of the list beside it. Look at them before you commit them.
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
from web.public.docs.markdown import PICTURE, THEMES

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCALE = 2
QUALITY = 60
MARGIN = 28
FOLDER = ROOT / "docs" / "images"
# What has a number on each picture: the first element with this selector.
MARKS = {
    "consent": ("h1", "label[for=lifetime]", ".permission .scope__title", ".segmented"),
    "approval": ("h1", "text=Message", ".asked__code", "main button:has-text('Approve once')"),
    "connections": ("h2 a", "text=Without asking", "text=If you approve", "main .button--danger:has-text('Revoke')"),
    "connection": ("button:has-text('Pause')", "text=Revoke access", "text=End the access earlier"),
    "activity": ("text=Filter", "text=Read your email", "text=Why?"),
    "account": ("main >> text=Profile", ".button:has-text('Add a passkey')", "h2:has-text('Authenticator app')"),
}
# Scrolls the first element to the top if the last one is below the fold or close to it.
SHOW = """([first, last]) => {
  if (last.getBoundingClientRect().bottom > innerHeight - 60) scrollBy(0, first.getBoundingClientRect().top - 20);
}"""
# Widens the margin, for the numbers, below the header. What the bottom edge would cut is left out.
WIDEN = """(pixels) => {
  document.documentElement.style.paddingInlineStart = `${pixels}px`;
  const header = document.querySelector("header");
  header.style.marginInlineStart = `-${pixels}px`;
  header.style.paddingInlineStart = `${pixels}px`;
  document.querySelector("#pausing")?.closest("form").remove();
}"""
# Puts a number in the margin beside the first line of an element. If something is between, the number is on the corner
# of a button, or behind a text.
MARK = """(element, number) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const isBox = element.matches(".button, button, select");
  const lines = isBox ? [] : [...range.getClientRects()].filter((each) => each.width > 1);
  const place = lines.at(0) ?? element.getBoundingClientRect();
  const isFirst = place.left < 120;
  const isCorner = isBox && !isFirst;
  const left = isFirst ? 10 : place.right + (isCorner ? -14 : 8);
  const mark = document.body.appendChild(document.createElement("b"));
  mark.textContent = number;
  mark.style.cssText = `position: fixed; z-index: 9; inset-inline-start: ${left}px;
    inset-block-start: ${isCorner ? place.top - 14 : (place.top + place.bottom) / 2 - 12}px;
    inline-size: 24px; border-radius: 50%; outline: 2px solid var(--paper);
    background: var(--ink); color: var(--paper); font: 600 14px/24px var(--text); text-align: center`;
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
    tab = open_tab(javascript=True, width=PICTURE[0], device_scale_factor=SCALE, reduced_motion="reduce")
    tab.page.set_viewport_size(dict(zip(("width", "height"), PICTURE, strict=True)))
    tab.become("ada@example.com")
    for theme, end in THEMES.items():
        tab.page.emulate_media(color_scheme=theme)
        for name, path in paths.items():
            tab.goto(path)
            tab.page.evaluate("document.fonts.ready")
            tab.page.evaluate(WIDEN, MARGIN)
            marked = [tab.page.locator(f"{selector} >> visible=true").first for selector in MARKS[name]]
            tab.page.evaluate(SHOW, [marked[0].element_handle(), marked[-1].element_handle()])
            for number, element in enumerate(marked, 1):
                element.evaluate(MARK, number)
            picture = tab.devtools.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
            Path(FOLDER / f"{name}{end}.webp").write_bytes(b64decode(picture["data"]))
