"""What must hold on each page. Each function returns a sentence for each problem of the page that is open in a tab."""

import os
from base64 import b64decode
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT

from tests.web.browser.pages.group import Page

WIDTHS = (320, 1280)
View = tuple[int, str, str]
SCRIPT_LIMIT = 30_000
# The folder for screenshots. Encoding them takes a sixth of the time of these tests, so none are made by default.
SCREENSHOTS = os.environ.get("SCREENSHOTS")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# axe describes only violations. It checks the size of targets only if it is told to. It reads the style sheets
# (`preload`) only for an experimental rule.
AXE_OPTIONS = {
    "runOnly": STANDARDS,
    "resultTypes": ["violations"],
    "preload": False,
    "rules": {"target-size": {"enabled": True}},
}
DIRECTIONS = ("rtl", "ltr")
SCHEMES = ("dark", "light")
EVERY_VIEW = frozenset(product(WIDTHS, DIRECTIONS, SCHEMES))
# axe takes longer than all other checks. In these two views, it sees each width and each color scheme.
TWO_VIEWS = frozenset({(320, "ltr", "dark"), (1280, "ltr", "light")})
# Three quarters of axe's time are for the contrast of texts. It needs to look only at one of those with the same colors
# and the same font. An element that is hidden, covered or disabled does not stand for others.
ONE_OF_EACH_LOOK = """() => {
    axe.configure({rules: [{id: "color-contrast", selector: "[data-look]"}]});
    const behind = new Map(), seen = new Set();
    for (const e of document.querySelectorAll("body, body *")) {
        const style = getComputedStyle(e), {backgroundColor, backgroundImage, opacity, position} = style;
        const own = [backgroundColor, backgroundImage, opacity, position].join();
        behind.set(e, (behind.get(e.parentElement) ?? "") + (own === "rgba(0, 0, 0, 0),none,1,static" ? "" : own));
        const text = [...e.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        const isOff = e.closest(":disabled, [aria-disabled]") || e.closest("label")?.control?.disabled;
        const {color, fontSize, fontWeight, textShadow} = style, {width, height} = e.getBoundingClientRect();
        const look = [behind.get(e), color, fontSize, fontWeight, textShadow, !!isOff, width > 1, height > 1].join();
        const isNew = e.checkVisibility() && (text || e.matches("input, select, textarea")) && !seen.has(look);
        e.toggleAttribute("data-look", isNew);
        if (isNew) seen.add(look);
    }
}"""
# Screenshots show each width in each color scheme, and the dark ones of a phone from right to left.
PICTURES = frozenset({(320, "rtl", "dark"), (320, "ltr", "light"), (1280, "ltr", "dark"), (1280, "ltr", "light")})
SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary")].filter(e => {
    const box = e.getBoundingClientRect(), line = getComputedStyle(e).display === "inline";
    return box.width && !line && !e.matches(".skip, [tabindex='-1']") && Math.min(box.width, box.height) < 24;
}).map(e => e.outerHTML.slice(0, 120))"""
TOO_WIDE = """width => [...document.querySelectorAll("body *")].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && (box.right > width + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 60)).slice(0, 3)"""
# A column of single letters, such as the caption of a table whose rows are cards. In a list of requests, a long status
# leaves room for what the agent asks.
SQUEEZED = """() => [...document.querySelectorAll("main *:not(thead, thead *)")].filter(e => {
    const box = e.getBoundingClientRect();
    return e.checkVisibility() && (box.width < 24 && box.height > 120 && /\\w{3}/.test(e.textContent)
        || e.matches(".asking__what") && box.width < 160);
}).map(e => e.outerHTML.slice(0, 120))"""
# What Tab reaches: in the order of the page, and visible as the focus. A label may show it for its field.
KEYBOARD = """() => {
    const drawn = e => [e, e.closest("label"), ...document.querySelectorAll(`label[for="${e.id}"]`)].some(one => one
        && ["", "::before", "::after"].some(part => getComputedStyle(one, part || null).outlineStyle !== "none"));
    const shows = e => { e.focus({focusVisible: true}); return document.activeElement !== e || drawn(e); };
    const focusable = "a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex='-1'])";
    const before = document.activeElement;
    const found = [...document.querySelectorAll(focusable)].filter(e =>
        e.checkVisibility() && !e.disabled && (e.tabIndex > 0 || !shows(e)));
    before?.focus ? before.focus() : document.activeElement.blur();
    return found.map(e => e.outerHTML.slice(0, 120));
}"""
# Sizes are uncompressed, as the server sends them, and known for cached resources, too. The icon is not among them.
RESOURCES = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map(e => [e.name, e.decodedBodySize])"""


def show(tab: Any, page: Page, ids: Mapping[str, str]) -> None:
    """Open the page, check its status, and bring it into its state. Wait for its fonts, on which widths depend."""
    answer = tab.goto(page.path.format(**ids))
    if (status := first_status(answer)) != page.status:
        raise AssertionError(f"{page}: status {status}, not {page.status}")
    if page.act:
        page.act(tab)
    tab.page.evaluate("async () => { await document.fonts.ready; }")


def first_status(answer: Any) -> int:
    """Return the status of what was requested, which may have redirected to the answer."""
    request = answer.request
    while request.redirected_from:
        request = request.redirected_from
    return int(request.response().status)


def problems_of(tab: Any, page: Page, name: str, *, in_full: bool = False) -> Iterator[str]:
    """Check the open page in both widths and, if wanted, in full: in both directions, with axe in every view.

    Its screenshots, if any are wanted, are stored under `name`.
    """
    views = EVERY_VIEW if in_full else TWO_VIEWS
    yield from too_heavy(tab, page)
    tab.page.evaluate(AXE_SCRIPT)
    for width, direction in sorted({view[:2] for view in (*views, *(PICTURES if SCREENSHOTS else ()))}):
        tab.page.set_viewport_size({"width": width, "height": 800})
        turn(tab, direction)
        yield from (
            f"{width} px {direction}: {problem}"
            for problem in (*sideways(tab, width), *small_targets(tab), *squeezed(tab))
        )
        for scheme in SCHEMES:
            yield from look(tab, (width, direction, scheme), name, views, in_full=in_full)
    yield from without_keyboard(tab)
    yield from wide_at_twice_the_size(tab)
    yield from (f"console: {complaint}" for complaint in tab.take_complaints())


def look(tab: Any, view: View, name: str, views: Collection[View], *, in_full: bool) -> Iterator[str]:
    """Run axe and take a screenshot in one view, if they are wanted there."""
    folder = SCREENSHOTS if view in PICTURES else None
    if not folder and view not in views:
        return
    width, direction, scheme = view
    tab.page.emulate_media(color_scheme=scheme)
    if view in views:
        if not in_full:
            tab.page.evaluate(ONE_OF_EACH_LOOK)
        yield from (f"{width} px {direction} {scheme}: {problem}" for problem in violations(tab))
    if folder:
        take_screenshot(tab, Path(folder) / f"{name}-{width}-{direction}-{scheme}.png")


def turn(tab: Any, direction: str) -> None:
    tab.page.evaluate("direction => { document.dir = direction }", direction)


def small_targets(tab: Any) -> Iterator[str]:
    yield from (f"target below 24 px: {html}" for html in tab.page.evaluate(SMALL_TARGETS))


def squeezed(tab: Any) -> Iterator[str]:
    yield from (f"squeezed into a column: {html}" for html in tab.page.evaluate(SQUEEZED))


def without_keyboard(tab: Any) -> Iterator[str]:
    yield from (f"no visible focus, or out of order: {html}" for html in tab.page.evaluate(KEYBOARD))


def sideways(tab: Any, width: int) -> Iterator[str]:
    """Check that the page does not scroll sideways, and name the first elements that are too wide."""
    scroll = tab.page.evaluate("document.documentElement.scrollWidth")
    if scroll > width:
        yield f"{scroll} px wide: {', '.join(tab.page.evaluate(TOO_WIDE, width))}"


def violations(tab: Any) -> list[str]:
    """Return the accessibility rules that the page breaks, each with an element."""
    found = tab.page.evaluate("options => axe.run(document, options)", AXE_OPTIONS)["violations"]
    return [f"{violation['id']}: {violation['nodes'][0]['html']}" for violation in found]


def wide_at_twice_the_size(tab: Any) -> Iterator[str]:
    """Check that text at 200 % does not scroll sideways."""
    tab.page.set_viewport_size({"width": 640, "height": 800})
    tab.page.evaluate("document.documentElement.style.fontSize = '200%'")
    yield from (f"640 px, text at 200 %: {problem}" for problem in sideways(tab, 640))


def too_heavy(tab: Any, page: Page) -> Iterator[str]:
    """Check the size of the page with its resources, and of its scripts."""
    sizes = dict(tab.page.evaluate(RESOURCES))
    scripts = sum(size for url, size in sizes.items() if url.endswith(".js"))
    if (total := sum(sizes.values()) - (0 if page.counts_scripts else scripts)) > page.limit:
        yield f"{total} bytes; at most {page.limit}"
    if scripts > SCRIPT_LIMIT:
        yield f"{scripts} bytes of scripts; at most {SCRIPT_LIMIT}"


def take_screenshot(tab: Any, file: Path) -> None:
    """Store a picture of the whole page. Playwright's own lacks the option that halves the time for encoding it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    width, height = tab.page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    options = {
        "format": "png",
        "optimizeForSpeed": True,
        "captureBeyondViewport": True,
        "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
    }
    file.write_bytes(b64decode(tab.devtools.send("Page.captureScreenshot", options)["data"]))
