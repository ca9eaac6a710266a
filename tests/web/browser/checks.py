"""What must hold on each page. Each function returns a sentence for each problem of the page that is open in a tab."""

import os
from base64 import b64decode
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT

from tests.web.browser.pages.group import Page

WIDTHS = (320, 1280)
# The narrowest width in which tables are tables.
TABLET = 768
View = tuple[int, str, str]
SCRIPT_LIMIT = 30_000
# The folder for screenshots of a check in full. By default, none are made.
SCREENSHOTS = os.environ.get("SCREENSHOTS")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# axe describes only violations. It reads the style sheets (`preload`) only for an experimental rule. It checks the size
# of targets only in full: `small_targets` is faster.
AXE_OPTIONS: dict[str, object] = {
    "runOnly": STANDARDS,
    "resultTypes": ["violations"],
    "preload": False,
    "rules": {"target-size": {"enabled": False}},
}
AXE_IN_FULL = {**AXE_OPTIONS, "rules": {"target-size": {"enabled": True}}}
EVERY_VIEW = tuple(product(WIDTHS, ("rtl", "ltr"), ("dark", "light")))
# CI looks at a page in one of these.
PHONE, DESKTOP = (320, "ltr", "dark"), (1280, "ltr", "light")
VIOLATIONS = """async options =>
    (await axe.run(document, options)).violations.map(rule => `${rule.id}: ${rule.nodes[0].html}`)"""
# Most of axe's time is for the contrast of texts. It needs to look only at one of those with the same colors and the
# same font, on all pages. An element that is hidden, covered or disabled does not stand for others.
LOOKS_SEEN: set[str] = set()
ONE_OF_EACH_LOOK = """looks => {
    axe.configure({rules: [{id: "color-contrast", selector: "[data-look]"}]});
    const behind = new Map(), seen = new Set(looks);
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
    return [...seen].slice(looks.length);
}"""
# Screenshots show each width in each color scheme, and the dark ones of a phone from right to left.
PICTURES = frozenset({(320, "rtl", "dark"), (320, "ltr", "light"), (1280, "ltr", "dark"), (1280, "ltr", "light")})
SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary")].filter(e => {
    const box = e.getBoundingClientRect(), line = getComputedStyle(e).display === "inline";
    return box.width && !line && !e.matches(".skip, [tabindex='-1']") && Math.min(box.width, box.height) < 24;
}).map(e => e.outerHTML.slice(0, 120))"""
# A page that scrolls sideways in this width, and the first elements that are too wide.
SIDEWAYS = """width => {
    const scroll = document.documentElement.scrollWidth;
    if (scroll <= width) return [];
    const wide = [...document.querySelectorAll("body *")].filter(e => {
        const box = e.getBoundingClientRect();
        return box.width && (box.right > width + 1 || box.left < -1);
    });
    return [`${scroll} px wide in ${width}: ${wide.slice(0, 3).map(e => e.outerHTML.slice(0, 60)).join(", ")}`];
}"""
# A column of single letters, such as the caption of a table whose rows are cards. In a list of requests, a long status
# leaves room for what the agent asks.
SQUEEZED = """() => [...document.querySelectorAll("main *:not(thead, thead *)")].filter(e => {
    const box = e.getBoundingClientRect();
    return e.checkVisibility() && (box.width < 24 && box.height > 120 && /\\w{3}/.test(e.textContent)
        || e.matches(".asking__what") && box.width < 160);
}).map(e => e.outerHTML.slice(0, 120))"""
# Words of a table that are broken, however long the names and ids beside them are.
BROKEN_WORDS = """() => [...new Set([...document.querySelectorAll("main .table :is(td, th)")].flatMap(cell => {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
    for (let text = texts.nextNode(); text; text = texts.nextNode())
        for (const {0: word, index} of text.data.matchAll(/(?<!\\S)[^\\s/-]{3,16}(?!\\S)/g)) {
            const range = new Range();
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            if (new Set([...range.getClientRects()].map(box => box.top)).size > 1) found.push(word);
        }
    return found;
}))]"""
# On phones, the portal's pages begin below one row of sections. A message is above the heading, and
# what a member may only read says so.
LATE_STARTS = """() => [...document.querySelectorAll("nav.subnav + main:not(:has(> [role=status])) h1")]
    .filter(e => innerWidth < 400 && e.getBoundingClientRect().top + scrollY >= 120).map(e => e.outerHTML)"""
# All checks of one view in one call, because each call takes as long as some of them.
IN_VIEW = f"""async ([width, options]) => [
    ...({SIDEWAYS})(width),
    ...({SMALL_TARGETS})().map(html => `target below 24 px: ${{html}}`),
    ...({SQUEEZED})().map(html => `squeezed into a column: ${{html}}`),
    ...({LATE_STARTS})().map(html => `begins below 120 px: ${{html}}`),
    ...await ({VIOLATIONS})(options),
]"""
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


def problems_of(tab: Any, page: Page, view: View = DESKTOP) -> Iterator[str]:
    """Check the open page in one view, and that it does not scroll sideways in the other width."""
    yield from too_heavy(tab, page)
    set_view(tab, view)
    leave_out_known_looks(tab)
    yield from problems_in(tab, view, AXE_OPTIONS)
    yield from without_keyboard(tab)
    for width in {*WIDTHS} - {view[0]}:
        yield from sideways(tab, width)
    yield from broken_words(tab)
    yield from (f"console: {complaint}" for complaint in tab.take_complaints())


def problems_in_full(tab: Any, page: Page, name: str) -> Iterator[str]:
    """Check the open page in every view. Its screenshots, if any are wanted, are stored under `name`."""
    yield from too_heavy(tab, page)
    for view in EVERY_VIEW:
        set_view(tab, view)
        yield from problems_in(tab, view, AXE_IN_FULL)
        if SCREENSHOTS and view in PICTURES:
            take_screenshot(tab, Path(SCREENSHOTS) / f"{name}-{'-'.join(map(str, view))}.png")
    yield from without_keyboard(tab)
    yield from broken_words(tab)
    yield from wide_at_twice_the_size(tab)
    yield from (f"console: {complaint}" for complaint in tab.take_complaints())


def set_view(tab: Any, view: View) -> None:
    _, direction, _ = view
    look_like(tab, view)
    if not tab.page.evaluate("direction => { document.dir = direction; return 'axe' in window }", direction):
        tab.page.evaluate(AXE_SCRIPT)


def look_like(tab: Any, view: View) -> None:
    """Set the width and the color scheme of the view. A page that is opened then is laid out only once."""
    width, _, scheme = view
    set_width(tab, width)
    if tab.scheme != scheme:
        tab.page.emulate_media(color_scheme=scheme)
        tab.scheme = scheme


def set_width(tab: Any, width: int) -> None:
    size = {"width": width, "height": 800}
    if tab.page.viewport_size != size:
        tab.page.set_viewport_size(size)


def leave_out_known_looks(tab: Any) -> None:
    LOOKS_SEEN.update(tab.page.evaluate(ONE_OF_EACH_LOOK, list(LOOKS_SEEN)))


def problems_in(tab: Any, view: View, axe_options: Mapping[str, object]) -> Iterator[str]:
    width, direction, scheme = view
    found = tab.page.evaluate(IN_VIEW, [width, axe_options])
    yield from (f"{width} px {direction} {scheme}: {problem}" for problem in found)


def broken_words(tab: Any) -> Iterator[str]:
    """Check the tables of the page on a tablet."""
    if tab.page.locator("main .table").count():
        yield from sideways(tab, TABLET)
        yield from (f"broken in {TABLET} px: {word}" for word in tab.page.evaluate(BROKEN_WORDS))


def without_keyboard(tab: Any) -> Iterator[str]:
    yield from (f"no visible focus, or out of order: {html}" for html in tab.page.evaluate(KEYBOARD))


def sideways(tab: Any, width: int) -> list[str]:
    """Check that the page does not scroll sideways in this width, and name the first elements that are too wide."""
    set_width(tab, width)
    return list(tab.page.evaluate(SIDEWAYS, width))


def wide_at_twice_the_size(tab: Any) -> Iterator[str]:
    """Check that text at 200 % does not scroll sideways."""
    tab.page.evaluate("document.documentElement.style.fontSize = '200%'")
    yield from (f"text at 200 %: {problem}" for problem in sideways(tab, 640))


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
