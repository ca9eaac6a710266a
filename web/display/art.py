"""Pictures for empty pages, outcomes and errors, drawn from the four bars of the gauge and a gate at a border.

They are hidden from screen readers: the text beside them says it all. Nothing in them has a direction, except `first`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


class Layers(NamedTuple):
    """The `d` of the paths of a picture on a grid of 160 by 96: bars, hairlines, dashed lines, and what stands out."""

    bars: str = ""
    lines: str = ""
    dashes: str = ""
    accent: str = ""


_GROUND = "M8 88h144"
_POST = "M34 88V40M28 88h12M30 46a4 4 0 1 1 8 0a4 4 0 1 1-8 0"
_RISING = "M66 87V75M84 87V64M102 87V53"

PICTURES: Mapping[str, Layers] = {
    # The gate is open, and nothing stands before it.
    "open": Layers("M74 87v-6M92 87v-6M110 87v-6M128 87v-6", f"{_GROUND}{_POST}", accent="M38 42L92 12"),
    "closed": Layers(f"{_RISING}M120 87V42", f"{_GROUND}{_POST}", accent="M39 46h105"),
    # An agent before two gates: one is open to an email, the other one closed before a lock.
    "first": Layers(
        "",
        "M10 32h32v32H10zM17 44v8M23 39v18M29 42v12M35 45v6M116 14h36v26h-36zM116 17l18 13 18-13"
        "M118 70h32v20h-32zM126 70v-6a8 8 0 0 1 16 0v6M134 77v6M104 23l5 4-5 4M60 65l8 8M68 65l-8 8",
        "M46 40L60 27h42M46 56l11 11",
        "M80 4v8M80 42l18-3M80 42v50",
    ),
    "ledger": Layers("", "M46 10h52l16 16v62H46zM98 10v16h16M58 34h34", "M58 46h44M58 58h44M58 70h28", "M58 22h20"),
    # The highest bar is missing, or has fallen.
    "lost": Layers("M48 87V75M66 87V64M84 87V53", _GROUND, "M97 87V42h10v45z"),
    "broken": Layers("M42 87V75M60 87V64M78 87V53", _GROUND, "", "M96 82h46"),
    # The screen that asks: lines to tick, and the gauge.
    "screen": Layers(
        "M92 56v-6M104 56v-12M116 56V38M128 56V32",
        "M18 10h124v78H18zM18 24h124M46 40h26M46 56h26M46 72h26",
        "",
        "M28 39l4 4 7-9",
    ),
    # A lock before the gauge.
    "safe": Layers("M20 87V75M38 87V64", f"{_GROUND}M84 44h52v44H84zM96 44V32a14 14 0 0 1 28 0v12", "", "M110 60v12"),
    "done": Layers(f"{_RISING}M120 87V42", _GROUND, "", "M28 48l10 10 18-22"),
}


def art(name: str) -> SafeString:
    """Return the picture as SVG. Raises `KeyError`."""
    layers = PICTURES[name]
    drawn = ((layer, d) for layer, d in layers._asdict().items() if d)
    return format_html(
        '<svg class="art art--{}" viewBox="0 0 160 96" width="160" height="96" aria-hidden="true">{}</svg>',
        name,
        format_html_join("", '<path class="art__{}" d="{}"/>', drawn),
    )
