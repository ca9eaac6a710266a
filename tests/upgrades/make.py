"""Dump a database of this version for later ones: `.venv/bin/python -m tests.upgrades.make`.

Run it once for each release, after the version in pyproject.toml is set. The folder with the version is committed and
not changed again.
"""

import tempfile
import tomllib
from pathlib import Path

from tests.migrated import ROOT
from tests.servers import Postgres
from tests.upgrades.databases import HERE, dump, run


def main() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    folder = HERE / version
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        _write(folder, "sqlite", str(Path(temporary) / "agentgate.db"))
    postgres = Postgres(own=True, empty=True)
    try:
        _write(folder, "postgresql", postgres.create_database())
    finally:
        postgres.stop()


def _write(folder: Path, store: str, database: str) -> None:
    run("manage", "migrate", database=database)
    run("tests.upgrades.story", folder / f"{store}.json", database=database)
    (folder / f"{store}.sql.gz").write_bytes(dump(database))


if __name__ == "__main__":
    main()
