"""Each released version's database is upgraded by this version, which then decides with it and reads its log."""

from pathlib import Path

import pytest

from tests.environment import Servers
from tests.upgrades.databases import HERE, load, run

VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "sqlite.sql.gz").exists())


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_database_of_an_earlier_version_is_upgraded_and_used(
    version: str, store: str, servers: Servers, tmp_path: Path
) -> None:
    database = str(tmp_path / "agentgate.db") if store == "sqlite" else servers.postgres.create_database()
    load((HERE / version / f"{store}.sql.gz").read_bytes(), database)

    printed = run(
        "tests.upgrades.reading", HERE / version / f"{store}.json", tmp_path / "checkpoint", database=database
    )

    assert "checkpoints are right." in printed
    assert f"The log continues {tmp_path / 'checkpoint'}." in printed


def test_the_first_version_has_a_dump() -> None:
    assert "0.1.0" in VERSIONS
