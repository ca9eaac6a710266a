"""What the style sheets must have, or must not: it is the same on every page."""

import re

from tests.clean_environment import ROOT
from tools import fonts

STYLES = {path.name: path.read_text() for path in sorted((ROOT / "static" / "css").glob("*.css"))}
PHYSICAL = re.compile(
    r"(?:margin|padding|border|inset|scroll-margin)-(?:left|right)\b|(?:text-align|float|clear): (?:left|right)\b"
    r"|^\s*(?:left|right): ",
    re.MULTILINE,
)
DURATION = re.compile(r"(?<![\w.])(\d*\.?\d+)(m?s)\b")
MAX_MILLISECONDS = 150


def found(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    return [(name, match[0].strip()) for name, text in STYLES.items() for match in pattern.finditer(text)]


def test_no_style_names_a_side_so_pages_also_run_from_right_to_left() -> None:
    assert found(PHYSICAL) == []


def test_the_focus_ring_is_three_pixels_wide_everywhere() -> None:
    widths = {value for _, value in found(re.compile(r"(?<=outline: )[^;]+"))}
    assert {width.split()[0] for width in widths} <= {"3px", "none"}
    assert ":focus-visible {\n    outline: 3px solid" in STYLES["base.css"]


def test_nothing_moves_for_longer_than_150_milliseconds() -> None:
    lasting = [
        float(value) * (1 if unit == "ms" else 1000) for value, unit in DURATION.findall("".join(STYLES.values()))
    ]
    assert lasting
    assert max(lasting) <= MAX_MILLISECONDS


def test_browsers_load_each_font_for_the_characters_that_it_has() -> None:
    named = re.findall(r"-(\w+)\.woff2\".*?unicode-range: ([^;]+);", STYLES["tokens.css"], re.DOTALL)
    in_order = [("latin", fonts.unicode_range(fonts.LATIN)), ("basic", fonts.unicode_range(fonts.BASIC))]
    assert named == in_order * len(fonts.FAMILIES)


def test_no_translation_needs_a_second_font() -> None:
    """The consent screen would weigh too much in that language."""
    letters = {path.parts[-3]: {*map(ord, path.read_text())} for path in ROOT.glob("locale/*/LC_MESSAGES/django.po")}
    second = fonts.LATIN - fonts.BASIC
    assert {name: [*map(chr, used & second)] for name, used in letters.items() if used & second} == {}
