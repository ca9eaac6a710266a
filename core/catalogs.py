"""The translations in `locale/`. Git has their sources (`.po`), and each process compiles those that are stale.

Bare machines have no msgfmt, so Babel compiles. A compiled catalog (`.mo`) ends with the digest of its source. If the
code is on a read-only disk, the compiled catalog stays in memory.
"""

import hashlib
import os
import tempfile
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.trans_real import translation

if TYPE_CHECKING:
    from babel.messages import Message


def load_catalogs() -> None:
    """Compile the catalogs whose source has changed. Processes that start at once do the same work, without harm."""
    for language, _ in settings.LANGUAGES:
        source = _source(language)
        if source.is_file() and not _is_compiled(source):
            _compile(source, language)


@cache
def catalog_version(language: str) -> str:
    """Return the start of the digest of the catalog's source. Empty for English, which has none."""
    source = _source(language)
    return _digest(source).hex()[:16] if source.is_file() else ""


def is_translated(message: "Message") -> bool:
    """Return whether all forms of a text are translated. It is shown in English otherwise."""
    return all(forms_of(message))


def forms_of(message: "Message") -> list[str]:
    """Return the translation: one form, or one per plural of the language."""
    return [message.string or ""] if isinstance(message.string, str | None) else list(message.string)


def _source(language: str) -> Path:
    return Path(settings.LOCALE_PATHS[0], to_locale(language), "LC_MESSAGES", "django.po")


def _digest(source: Path) -> bytes:
    return hashlib.sha256(source.read_bytes()).digest()


def _is_compiled(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    return compiled.is_file() and compiled.read_bytes().endswith(_digest(source))


def _compile(source: Path, language: str) -> None:
    # Few processes need these, and importing them takes a while.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    written, compiled = source.read_bytes(), BytesIO()
    catalog = read_po(BytesIO(written), locale=to_locale(language))
    for message in list(catalog):
        if message.id and not is_translated(message):
            catalog.delete(message.id, message.context)
    write_mo(compiled, catalog)
    content = compiled.getvalue() + hashlib.sha256(written).digest()
    try:
        _replace(source.with_suffix(".mo"), content)
    except OSError:
        translation(language).merge(GNUTranslations(BytesIO(content)))


def _replace(path: Path, content: bytes) -> None:
    """Replace a file at once: other processes read either the old content or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)  # the owner may compile for the user of the server
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
