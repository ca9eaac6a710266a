"""Write the fonts of the pages: subsets of two open-licence families, as WOFF2.

    ./dev fonts            write static/fonts/
    ./dev fonts --check    fail if they are not what this would write

Each family has two files. Browsers load `basic` on every page and `latin` only where a text needs it, by the
`unicode-range` in static/css/tokens.css, which must name the same characters.
"""

import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

FOLDER = Path(__file__).parent.parent / "static" / "fonts"
FEATURES = ["ccmp", "kern", "liga", "locl", "mark", "mkmk", "tnum"]
PUNCTUATION = [0xA0, 0xA3, 0xA9, 0xAB, 0xB7, 0xBB, 0xD7, 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026]
SIGNS = [0x2190, 0x2192, 0x20AC, 0x2212]
BASIC = {*range(0x20, 0x7F), *PUNCTUATION, *SIGNS}
LATIN = {*range(0xA1, 0x180), 0x2032, 0x2033, 0x201A, 0x201E, 0x2039, 0x203A} - BASIC


@dataclass(frozen=True)
class Family:
    """A family in a package: its file, and which part of its design space the pages use."""

    name: str
    package: str
    source: str
    axes: dict[str, Any]


FAMILIES = [
    Family(
        "bricolage-grotesque",
        "fontpkg_bricolage_grotesque",
        "BricolageGrotesque[opsz,wdth,wght].ttf",
        {"opsz": 24, "wdth": 100, "wght": 600},
    ),
    Family("public-sans", "fontpkg_public_sans", "PublicSans[wght].ttf", {"wght": (400, 600)}),
]


def write(folder: Path) -> None:
    """Write all subsets, each family with its licence."""
    for family in FAMILIES:
        package = files(family.package)
        for name, characters in (("basic", BASIC), ("latin", LATIN)):
            with (package / "files" / family.source).open("rb") as source:
                font = instancer.instantiateVariableFont(TTFont(source, recalcTimestamp=False), family.axes)
                _save(font, characters, folder / f"{family.name}-{name}.woff2")
        (folder / f"{family.name}-OFL.txt").write_bytes((package / "LICENSE").read_bytes())


def differing() -> list[str]:
    """Return the names of the files that are not what `write` would write."""
    with TemporaryDirectory() as folder:
        write(Path(folder))
        fresh = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    kept = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    return sorted(name for name in fresh.keys() | kept.keys() if fresh.get(name) != kept.get(name))


def _save(font: TTFont, characters: set[int], path: Path) -> None:
    options = subset.Options(flavor="woff2", layout_features=FEATURES, hinting=False, recalc_timestamp=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    subset.save_font(font, path, options)


def main() -> int:
    if "--check" not in sys.argv:
        write(FOLDER)
        return 0
    found = differing()
    if found:
        sys.stderr.write(f"fonts: {', '.join(found)} changed; run ./dev fonts\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
