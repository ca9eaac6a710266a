"""Write the fonts of the pages: subsets of two open-licence families, as WOFF2.

    ./dev fonts            write static/fonts/
    ./dev fonts --check    fail if they are not what this would write

Each family has two files. Browsers load `basic` on every page and `latin` only where a text needs it, by the
`unicode-range` in static/css/tokens.css, where the last one with a character counts.
"""

import sys
from copy import deepcopy
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.otBase import ValueRecord
from fontTools.varLib import instancer

FOLDER = Path(__file__).parent.parent / "static" / "fonts"
FEATURES = ["kern", "tnum"]
PUNCTUATION = [0xA0, 0xA3, 0xA9, 0xAB, 0xB7, 0xBB, 0xD7, 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026]
# In ems.
LEAST_KERNING = 0.02
X_ADVANCE = 4
SIGNS = [0x2190, 0x2192, 0x20AC, 0x2212]
# The letters of the translations and of the names of currencies. Each one more makes all pages heavier.
LETTERS = "àâäáãçèéêîïíłñôöóõœùûüúßÀÁÄÇÉÓÖÚÜ¿„"
BASIC = {*range(0x20, 0x7F), *PUNCTUATION, *SIGNS, *map(ord, LETTERS)}
LATIN = {*range(0xA1, 0x180), 0x2032, 0x2033, 0x201A, 0x201E, 0x2039, 0x203A}


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


def unicode_range(characters: set[int]) -> str:
    """Return the characters as the value of `unicode-range`."""
    starts = sorted(one for one in characters if one - 1 not in characters)
    ends = sorted(one for one in characters if one + 1 not in characters)
    return ", ".join(f"U+{a:X}" if a == b else f"U+{a:X}-{b:X}" for a, b in zip(starts, ends, strict=True))


def write(folder: Path) -> None:
    """Write all subsets, each family with its licence."""
    for family in FAMILIES:
        package = files(family.package)
        with (package / "files" / family.source).open("rb") as source:
            used = instancer.instantiateVariableFont(TTFont(source, recalcTimestamp=False), family.axes)
            for name, characters in (("basic", BASIC), ("latin", LATIN - BASIC)):
                _save(deepcopy(used), characters, folder / f"{family.name}-{name}.woff2")
        (folder / f"{family.name}-OFL.txt").write_bytes((package / "LICENSE").read_bytes())


def differing() -> list[str]:
    """Return the names of the files that are not what `write` would write."""
    with TemporaryDirectory() as folder:
        write(Path(folder))
        fresh = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    kept = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    return sorted(name for name in fresh.keys() | kept.keys() if fresh.get(name) != kept.get(name))


def _save(font: TTFont, characters: set[int], path: Path) -> None:
    options = subset.Options(
        flavor="woff2", layout_features=FEATURES, hinting=False, recalc_timestamp=False, name_IDs=[0, 1, 2]
    )
    options.drop_tables += ["GDEF", "HVAR", "STAT", "gasp"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    _keep_visible_kerning(font)
    subset.save_font(font, path, options)


def _keep_visible_kerning(font: TTFont) -> None:
    """Leave out kerning of less than half a pixel in a heading, and its differences between weights.

    They are a tenth of the files.
    """
    least = font["head"].unitsPerEm * LEAST_KERNING
    for lookup in font["GPOS"].table.LookupList.Lookup:
        for pairs in lookup.SubTable:
            pairs.ValueFormat1 &= X_ADVANCE
            records = pairs.PairSet if pairs.Format == 1 else pairs.Class1Record
            for record in records:
                for pair in record.PairValueRecord if pairs.Format == 1 else record.Class2Record:
                    pair.Value1 = ValueRecord(pairs.ValueFormat1, pair.Value1)
                    if abs(pair.Value1.XAdvance) < least:
                        pair.Value1.XAdvance = 0


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
