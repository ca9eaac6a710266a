"""What the style sheets must have, or must not: it is the same on every page."""

import re

from tests.clean_environment import ROOT

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
