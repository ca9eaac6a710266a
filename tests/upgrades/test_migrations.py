"""The check that committed migrations do not change (`./dev check`)."""

from pathlib import Path

import pytest

from tests.upgrades.migrations import add_new, problems


@pytest.fixture
def migration(tmp_path: Path) -> Path:
    path = tmp_path / "agents" / "migrations" / "0001_initial.py"
    path.parent.mkdir(parents=True)
    path.write_text("operations = []\n")
    add_new(tmp_path, tmp_path / "digests")
    return path


def found(root: Path) -> list[str]:
    return list(problems(root, root / "digests"))


def test_a_migration_that_is_as_committed_is_right(migration: Path, tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_a_changed_migration_is_reported_and_stays_so(migration: Path, tmp_path: Path) -> None:
    migration.write_text("operations = [1]\n")
    add_new(tmp_path, tmp_path / "digests")

    (line,) = found(tmp_path)
    assert line.startswith("agents/migrations/0001_initial.py has changed")


def test_a_removed_migration_is_reported(migration: Path, tmp_path: Path) -> None:
    migration.unlink()

    (line,) = found(tmp_path)
    assert line.startswith("agents/migrations/0001_initial.py is gone")


def test_a_new_migration_needs_a_digest(migration: Path, tmp_path: Path) -> None:
    migration.with_name("0002_more.py").write_text("operations = []\n")
    (line,) = found(tmp_path)
    assert line == "agents/migrations/0002_more.py has no digest yet: run ./dev fix"

    add_new(tmp_path, tmp_path / "digests")
    assert found(tmp_path) == []
