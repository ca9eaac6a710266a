"""What `tools/catalogs.py` refuses in a translation."""

from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import to_locale

from tests.shared import cases
from tools import catalogs

HEADER = 'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
SENT = 'msgid "%(agent)s sent <b>it</b>."\nmsgstr '
COUNT = 'msgid "%(n)d thing"\nmsgid_plural "%(n)d things"\n'
SHORT = '#. Translators: at most 8 characters\nmsgid "Allow"\nmsgstr '


@pytest.fixture(autouse=True)
def incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "COMPLETE", frozenset())


def problems(path: Path, text: str) -> list[str]:
    path.write_text(HEADER + text)
    return list(catalogs.problems("de", path))


@cases(
    "text",
    [
        SENT + '"<b>Es</b> hat %(agent)s gesendet."',
        SENT + '""',
        COUNT + 'msgstr[0] "ein Ding"\nmsgstr[1] "%(n)d Dinge"',
        SHORT + '"Erlaubt"',
        'msgid "Pay %(percent)s%%"\nmsgstr "%(percent)s%% zahlen"',
    ],
)
def test_a_right_translation_has_no_problem(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path / "django.po", text) == []


@cases(
    ("text", "problem"),
    [
        (SENT + '"<b>Es</b> wurde gesendet."', "%(agent)s"),
        (SENT + '"%(agent)s hat es gesendet."', "<b>"),
        (SENT + '"%(agents)s hat <b>es</b> gesendet."', "%(agent)s"),
        (SENT + '"%(agent)s hat <b>es</b> gesendet. "', "space"),
        (COUNT + 'msgstr[0] "ein Ding"\nmsgstr[1] "Dinge"', "%(n)d"),
        (COUNT + 'msgstr[0] "%(m)d Ding"\nmsgstr[1] "%(n)d Dinge"', "%(n)d"),
        (SHORT + '"Alle erlauben"', "at most 8"),
        (SHORT + '"允许这一切"', "at most 8"),
        (f'msgid "Yes"\nmsgstr "{"Ja" * 20}"', "at most 16"),
    ],
)
def test_a_wrong_translation_has_one(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems(tmp_path / "django.po", text)
    assert problem in found


def test_a_text_without_a_translation_is_a_problem_in_a_complete_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogs, "COMPLETE", frozenset({"de"}))
    assert problems(tmp_path / "django.po", SENT + '""') == ["'%(agent)s sent <b>it</b>.' is not translated"]


def test_each_language_has_a_catalog() -> None:
    assert sorted(catalogs.locales()) == sorted(to_locale(code) for code, _ in settings.LANGUAGES if code != "en")


def test_a_changed_text_has_no_translation(tmp_path: Path) -> None:
    """Guesses could state another promise."""
    path = tmp_path / "django.po"
    path.write_text(HEADER + 'msgid "It cannot pay."\nmsgstr "Er kann nicht zahlen."\n\nmsgid "Gone"\nmsgstr "Weg"\n')
    texts = catalogs.Catalog()
    texts.add("It can pay.", locations=[("a.py", 1)])
    texts.add("It cannot pay.", locations=[("a.py", 2)])
    written = catalogs.updated("de", path, texts).decode()
    assert '#: a.py\nmsgid "It can pay."\nmsgstr ""\n' in written
    assert 'msgid "It cannot pay."\nmsgstr "Er kann nicht zahlen."' in written
    assert "Gone" not in written
    assert "fuzzy" not in written
