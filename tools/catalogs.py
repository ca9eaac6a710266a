"""Write the texts for users into the catalogs, `locale/*/LC_MESSAGES/django.po`, and check the translations.

    ./dev fix                          update the catalogs
    python -m tools.catalogs --check   fail if they are not current, complete and well-formed
    python -m tools.catalogs --todo de print what is not translated yet

To add a language, create the folder of its locale with an empty `django.po`, add it to `LANGUAGES` in the settings, run
`./dev fix`, translate, and add the folder's name to `COMPLETE`.
"""

import csv
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import django
from babel.messages import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

from core.catalogs import forms_of, is_translated
from resources.contexts import CAN, CANNOT, TITLE

ROOT = Path(__file__).resolve().parent.parent
# Catalogs in which an untranslated text is an error.
COMPLETE = frozenset({"ar", "de", "es", "fr", "ja", "pt_BR", "zh_Hans"})
# Files with texts that only developers, administrators and programs read. Those are in English.
ENGLISH_ONLY = re.compile(
    r"(administration|agents(?!/(destinations|reports))|api|benchmarks|demo"
    r"|developers(?!/(credential_mails|invitation|membership_errors|role_words))|docs|events|insights"
    r"|limits|oauth|sdk|server|tests|tools)/"
    r"|audit/|decisions/whatif/|policies/(\w+\.py|rules/(cedar|delegation))|web/(portal|public/docs)/"
    r"|accounts/access\.py|core/(fetching|http|idempotency|locks|names|rotation|uris)\.py|consent/services\.py"
    r"|resources/(authentication|catalogue|custom_scopes|errors|identifiers|services)\.py|web/forms/deleting\.py"
    r"|tokens/(bounds|delegations|errors)\.py|templates/(admin|oauth|web/portal|web/public/docs)/"
    r"|templates/layouts/(agent|developer|docs|policy|settings)\.html"
    r"|templates/components/(named_secrets|secret|secret_status)\.html"
)
PLURALS = {
    "ar": "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);",
    "fr": "nplurals=2; plural=(n > 1);",
    "pt_BR": "nplurals=2; plural=(n > 1);",
    "ja": "nplurals=1; plural=0;",
    "zh_Hans": "nplurals=1; plural=0;",
}
ONE_OR_MORE = "nplurals=2; plural=(n != 1);"
SINGULAR, PLURAL = ("gettext", "gettext_lazy", "gettext_noop", "_"), ("ngettext", "ngettext_lazy")
KEYWORDS = {
    **dict.fromkeys(SINGULAR),
    **dict.fromkeys(PLURAL, (1, 2)),
    **{f"p{name}": ((1, "c"), 2) for name in SINGULAR[:2]},
    **{f"np{name[1:]}": ((1, "c"), 2, 3) for name in PLURAL},
}
COMMENT = "Translators:"
WIDTH = re.compile(r"at most (\d+) characters")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}|</?\w[^>]*>|&\w+;")
# What the catalogue of scopes has to translate, and the contexts in which `resources/catalogue.py` looks it up.
TABLES = {
    "resources/scopes.csv": {"title": (TITLE, "{}"), "can": (CAN, "{}."), "cannot": (CANNOT, "Cannot {}.")},
    "resources/actions.csv": {"title": (TITLE, "{}")},
}


def template() -> Catalog:
    """Return all texts for users, file by file, in the order in which they are written there."""
    catalog = Catalog()
    for name, message, comments, context in _texts():
        notes = [note.removeprefix(COMMENT).strip() for note in comments]
        catalog.add(message, locations=[(name, 1)], auto_comments=notes, context=context)
    return catalog


def _texts() -> Iterator[tuple[str, str | tuple[str, ...], list[str], str | None]]:
    folders = [folder for folder in ROOT.iterdir() if folder.name == "templates" or (folder / "__init__.py").is_file()]
    paths = (path.relative_to(ROOT) for folder in folders for path in folder.rglob("*.*") if path.is_file())
    for name in sorted(path.as_posix() for path in paths):
        if ENGLISH_ONLY.match(name):
            continue
        if name in TABLES:
            yield from _texts_of_table(name)
        elif source := _as_python(name):
            for _, message, comments, context in extract(
                "python", BytesIO(source.encode()), keywords=KEYWORDS, comment_tags=(COMMENT,)
            ):
                yield name, message, comments, context


def _as_python(name: str) -> str:
    """Return the program or template as source in which Babel finds the texts. Empty if it is neither."""
    if name.endswith(".py"):
        return (ROOT / name).read_text()
    if name.startswith("templates/"):
        # What is not a text becomes a row of X, whose indentation would confuse the parser.
        return "\n".join(map(str.strip, templatize((ROOT / name).read_text(), origin=name).splitlines()))
    return ""


def _texts_of_table(name: str) -> Iterator[tuple[str, str, list[str], str]]:
    with (ROOT / name).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for column, (context, sentence) in TABLES[name].items():
                yield name, sentence.format(row[column]), [row["id"]], context


def locales() -> dict[str, Path]:
    return {path.parent.parent.name: path for path in sorted(ROOT.glob("locale/*/LC_MESSAGES/django.po"))}


def updated(locale: str, path: Path, texts: Catalog) -> bytes:
    """Return the catalog with the texts of now. Translations of texts that are gone or have changed are dropped."""
    known = read_po(BytesIO(path.read_bytes()), locale=locale)
    header = f'msgid ""\nmsgstr ""\n"Language: {locale}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    header += f'"Plural-Forms: {PLURALS.get(locale, ONE_OR_MORE)}\\n"\n\n'
    catalog = read_po(BytesIO(header.encode()), locale=locale)
    for text in texts:
        if text.id:
            old = known.get(text.id, text.context)
            forms = forms_of(old) if old and old.pluralizable == text.pluralizable else []
            if len(forms) != (catalog.num_plurals if text.pluralizable else 1):
                forms = [""] * catalog.num_plurals
            catalog.add(
                text.id,
                tuple(forms) if text.pluralizable else forms[0],
                locations=text.locations,
                auto_comments=text.auto_comments,
                user_comments=old.user_comments if old else (),
                context=text.context,
                flags=text.flags,
            )
    written = BytesIO()
    write_po(written, catalog, width=110, omit_header=True, include_lineno=False)
    return header.encode() + written.getvalue()


def problems(locale: str, path: Path) -> Iterator[str]:
    """Yield what is wrong with the translations of one language."""
    for message in read_po(BytesIO(path.read_bytes()), locale=locale):
        if not message.id:
            continue
        english = message.id if isinstance(message.id, str) else message.id[-1]
        said = forms_of(message)
        if not is_translated(message):
            if locale in COMPLETE:
                yield f"{english!r} is not translated"
            continue
        for number, text in enumerate(said, 1):
            found = _problems_of(message, english, text, is_last=number == len(said))
            yield from (f"{english!r}: {problem}: {text!r}" for problem in found)


def _problems_of(message: Message, english: str, text: str, *, is_last: bool) -> Iterator[str]:
    wanted, found = sorted(PLACEHOLDER.findall(english)), sorted(PLACEHOLDER.findall(text))
    # A form for one, two or none need not say the number. The last form is for the others.
    if wanted != found and (is_last or not set(found) <= set(wanted)):
        yield f"must have {', '.join(wanted) or 'no placeholders'}"
    if (english[:1].isspace(), english[-1:].isspace()) != (text[:1].isspace(), text[-1:].isspace()):
        yield "must begin and end with a space if the English text does"
    if width(text) > widest(message, english):
        yield f"is too long, at most {widest(message, english)} characters"


def width(text: str) -> int:
    """Return how wide a text is, in Latin letters. Characters of China and Japan are twice as wide."""
    shown = PLACEHOLDER.sub("", text)
    return sum(0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in shown)


def widest(message: Message, english: str) -> int:
    """Return how wide a translation may be: as its comment says, or else twice the English text, and a little more."""
    named = [WIDTH.search(comment) for comment in message.auto_comments]
    return next((int(found[1]) for found in named if found), 2 * width(english) + 10)


def main(arguments: list[str]) -> int:
    settings.configure()
    django.setup()
    if arguments[:1] == ["--todo"]:
        return _print_untranslated(arguments[1:])
    texts, failed = template(), []
    for locale, path in locales().items():
        content = updated(locale, path, texts)
        if arguments != ["--check"]:
            path.write_bytes(content)
        elif content != path.read_bytes():
            failed.append(f"locale/{locale} is not current: run ./dev fix")
        failed += [f"locale/{locale}: {problem}" for problem in problems(locale, path)]
    sys.stderr.writelines(f"{problem}\n" for problem in failed)
    return 1 if failed else 0


def _print_untranslated(names: Iterable[str]) -> int:
    for locale in names:
        for message in read_po(BytesIO(locales()[locale].read_bytes()), locale=locale):
            if message.id and not is_translated(message):
                sys.stdout.write(f"{message.context or '-'}\t{message.id}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
