"""Migrations are additive: one that is committed does not change, because databases have already run it.

`migrations.sha256` has the digest of each. `./dev check` compares them. `./dev fix` adds those of new migrations, by
`python -m tests.upgrades.migrations`.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.migrated import ROOT, WITHOUT_MIGRATIONS

DIGESTS = Path(__file__).with_name("migrations.sha256")


def problems(root: Path = ROOT, digests: Path = DIGESTS) -> Iterator[str]:
    """Yield a line for each migration that was changed or removed, and for each that has no digest yet."""
    committed, present = _read(digests), present_digests(root)
    for name in sorted(committed.keys() | present.keys()):
        if name not in committed:
            yield f"{name} has no digest yet: run ./dev fix"
        elif name not in present:
            yield f"{name} is gone: databases have run it, so restore it"
        elif committed[name] != present[name]:
            yield f"{name} has changed: databases have run it, so restore it and add another migration"


def add_new(root: Path = ROOT, digests: Path = DIGESTS) -> None:
    """Add the digests of new migrations, and leave all others as they are."""
    known = {**present_digests(root), **_read(digests)}
    digests.write_text("".join(f"{known[name]}  {name}\n" for name in sorted(known)))


def present_digests(root: Path) -> dict[str, str]:
    """Return the digest of each migration, by its path below `root`."""
    files = (file for file in root.glob("*/migrations/0*.py") if file.parts[-3] not in WITHOUT_MIGRATIONS)
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _read(digests: Path) -> dict[str, str]:
    lines = digests.read_text().splitlines() if digests.exists() else []
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


if __name__ == "__main__":
    add_new()
