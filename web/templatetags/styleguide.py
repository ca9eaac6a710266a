"""The tag of the style guide that shows a component in one state."""

import re

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

register = template.Library()

# What has an id, or refers to one.
IDS = re.compile(r' (id|for|list|popovertarget|data-copy|aria-(?:labelledby|describedby|controls))="([^"]+)"')
FRAGMENT = re.compile(r' href="#([^"]+)"')
CLOSED = re.compile(r"<details(?![^>]* open)")
LANDMARK = re.compile(r'(<(?:nav|form|section|aside)\b[^>]*? aria-label=")([^"]*)"')


@register.simple_block_tag
def state(content: str, caption: str, *, is_open: bool = False) -> SafeString:
    """Show a component in the state that the caption names, which must be unique on the page.

    `is_open` opens what can be opened. A component is made to occur once on a page, so its ids and
    landmarks get names of their own here.
    """
    name = f"state-{slugify(caption)}"
    opened = CLOSED.sub("<details open", content) if is_open else content
    shown = mark_safe(_renamed(opened, name, caption))  # noqa: S308 -- the template has escaped it
    return format_html(
        '<div class="guide__state"><p class="guide__caption" id="{}">{}</p>{}</div>', name, caption, shown
    )


def _renamed(content: str, name: str, caption: str) -> str:
    def rename(match: re.Match[str]) -> str:
        ids = [f"{one}--{name}" for one in match[2].split()]
        if match[1] == "aria-labelledby":
            ids.append(name)
        return f' {match[1]}="{" ".join(ids)}"'

    renamed = IDS.sub(rename, content.replace(" autofocus", ""))
    renamed = FRAGMENT.sub(rf' href="#\g<1>--{name}"', renamed)
    return LANDMARK.sub(rf'\g<1>\g<2>, {caption}"', renamed)
