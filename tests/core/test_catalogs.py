"""Compiled catalogs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation
from django.utils.translation import gettext, ngettext, trans_real

from core import catalogs

CATALOG = """
msgid ""
msgstr ""
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "A text of this test."
msgstr "Ein Text dieses Tests."

msgid "%(n)d thing"
msgid_plural "%(n)d things"
msgstr[0] "%(n)d Ding"
msgstr[1] ""
"""


@pytest.fixture
def german(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one catalog, which is not compiled yet."""
    source = tmp_path / "de" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text(CATALOG)
    settings.LOCALE_PATHS = [tmp_path]
    monkeypatch.setattr(trans_real, "_translations", {})
    catalogs.catalog_version.cache_clear()
    yield source
    catalogs.catalog_version.cache_clear()


def texts() -> list[str]:
    with translation.override("de"):
        return [gettext("A text of this test."), ngettext("%(n)d thing", "%(n)d things", 2)]


def test_a_catalog_is_compiled_if_its_source_changed(german: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogs.load_catalogs()
    assert texts() == ["Ein Text dieses Tests.", "%(n)d things"], "A text without all of its forms is in English."
    compiled = german.with_suffix(".mo")
    first = compiled.read_bytes()
    monkeypatch.setattr(catalogs, "_compile", pytest.fail)
    catalogs.load_catalogs()
    monkeypatch.undo()
    german.write_text(CATALOG.replace("Ein Text", "Der Text"))
    catalogs.load_catalogs()
    assert compiled.read_bytes() != first
    assert sorted(path.name for path in german.parent.iterdir()) == ["django.mo", "django.po"]


def test_a_catalog_on_a_read_only_disk_is_compiled_into_memory(german: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(catalogs.tempfile, "mkstemp", refuse)
    catalogs.load_catalogs()
    assert not german.with_suffix(".mo").exists()
    assert texts()[0] == "Ein Text dieses Tests."


def test_the_version_of_a_catalog_changes_with_it(german: Path) -> None:
    version = catalogs.catalog_version("de")
    assert len(version) == 16
    assert catalogs.catalog_version("en") == ""
    german.write_text(CATALOG + "\n")
    catalogs.catalog_version.cache_clear()
    assert catalogs.catalog_version("de") != version
