"""Texts that a page shows without a translation, and texts that are too long for their box."""

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from resources.categories import CATEGORY_NAMES

# Content: what others wrote or may have written, ids, times and the product's name.
CONTENT = "bdi, code, pre, time, samp, kbd, [translate=no], .named, textarea, script, style, .brand"
CONTENT += ", .scope__title, .scope__can, .scope__id"
# Unicode's data has the names of currencies. Examples of recipients are names and addresses.
CONTENT += ", [name^='limit-currency'], [name^='limit-only']"
# Names that are the same in all languages.
NAMES = ["AgentGate", *(name for name in CATEGORY_NAMES.values() if isinstance(name, str))]
NAMES += [word for _, name in settings.LANGUAGES for word in re.findall(r"\w+", name)]
ATTRIBUTES = ["title", "alt", "aria-label", "aria-description", "placeholder", "label"]
# Content may stand in a translated text, and a title or an attribute may repeat the page's content.
BARE_TEXTS = """([content, attributes, names]) => {
    const translated = /⟦.*⟧|^[^⟦]*⟧|⟦[^⟧]*$/gs, same = RegExp(`\\\\b(${names.join("|")})\\\\b`, "g");
    const words = text => text.replace(translated, "").replace(same, "").replace(/^[\\s·:()]+|[\\s·:()]+$/g, "");
    const known = new Set([...document.querySelectorAll(content)].map(e => e.textContent.trim()));
    const bare = text => /[A-Za-z]/.test(words(text)) && !known.has(words(text));
    const found = bare(document.title) ? [`title: ${document.title}`] : [];
    document.querySelectorAll("details").forEach(e => { e.open = true });
    for (const e of document.body.querySelectorAll("*")) {
        if (e.closest(content) || !e.checkVisibility() && !e.closest("select")) continue;
        for (const node of e.childNodes)
            if (node.nodeType === 3 && /[A-Za-z]/.test(words(node.data)))
                found.push(`${node.data.trim()}: ${e.outerHTML.slice(0, 150)}`);
        for (const name of e.matches("input[type=submit], input[type=button]") ? [...attributes, "value"] : attributes)
            if (e.hasAttribute(name) && bare(e.getAttribute(name))) found.push(`${name}: ${e.outerHTML.slice(0, 150)}`);
    }
    return found;
}"""
# A text must be in the box of the element that lays it out. Letters may be higher than their line. The summaries of a
# request may end early on phones, since the permissions follow.
CUT_OFF = """content => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [], range = new Range();
    const clipped = [...document.querySelectorAll("*")].filter(e => getComputedStyle(e).clipPath !== "none");
    const skipped = e => e.closest(`${content}, .asks, .allows, .skip, svg, input, select`)
        || !e.checkVisibility() || clipped.some(one => one.contains(e));
    while (walker.nextNode()) {
        let e = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || skipped(e)) continue;
        range.selectNodeContents(walker.currentNode);
        while (/^(inline|contents)$/.test(getComputedStyle(e).display)) e = e.parentElement;
        const text = range.getBoundingClientRect(), box = e.getBoundingClientRect();
        const above = parseFloat(getComputedStyle(e).fontSize) / 2;
        if (text.width && (text.left < box.left - 2 || text.right > box.right + 2
            || text.top < box.top - above || text.bottom > box.bottom + above))
            found.push(e.outerHTML.slice(0, 150));
    }
    for (const e of document.body.querySelectorAll("*"))
        if (/hidden|clip/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1 && !skipped(e))
            found.push(e.outerHTML.slice(0, 150));
    return found;
}"""


def word_problems(tab: Any) -> Iterator[str]:
    """Return a sentence for each text of the open page that is not translated or does not fit."""
    yield from (f"not translated: {text}" for text in tab.page.evaluate(BARE_TEXTS, [CONTENT, ATTRIBUTES, NAMES]))
    yield from (f"cut off: {html}" for html in tab.page.evaluate(CUT_OFF, CONTENT))
