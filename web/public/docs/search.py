"""Full-text search in the sections of the documentation and in the operations of the API."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.urls import reverse

from core.text import nearest
from web.public.docs.pages import REFERENCE, library, version_of
from web.public.docs.reference import sections

MAX_QUERY = 100
MAX_WORDS = 8
MAX_RESULTS = 30
BEFORE, AFTER = 60, 180
# A match in the heading counts more than any number of counted matches in the text.
IN_TITLE, IN_PAGE, MAX_COUNTED = 100, 20, 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A section that can be found. `page` is its page, or the group of the page. The rest is for comparison."""

    page: str
    title: str
    url: str
    text: str
    low_page: str
    low_title: str
    low_text: str


@dataclass(frozen=True, slots=True)
class Result:
    """A section that was found. Title and text are parts with whether each matches."""

    page: str
    url: str
    title: Sequence[tuple[str, bool]]
    text: Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Results:
    """The best results, the number of all, and a similar word if there are none."""

    shown: Sequence[Result]
    count: int
    suggestion: str | None


def search(query: str) -> Results:
    """Return the sections that contain all words of the query, best first. Only its first words count."""
    words = query[:MAX_QUERY].lower().split()[:MAX_WORDS]
    entries = _entries()
    scored = [(score, entry) for entry in entries if (score := _score(entry, words))] if words else []
    scored.sort(key=lambda each: -each[0])
    shown = [_result(entry, words) for _, entry in scored[:MAX_RESULTS]]
    return Results(shown, len(scored), None if scored or not words else _suggestion(words, entries))


def _score(entry: Entry, words: Iterable[str]) -> int:
    """Return how well the section matches, or 0 if a word is missing."""
    total = 0
    for word in words:
        count = min(entry.low_text.count(word), MAX_COUNTED)
        in_title, in_page = word in entry.low_title, word in entry.low_page
        if not (count or in_title or in_page):
            return 0
        total += count + (IN_TITLE if in_title else IN_PAGE * in_page)
    return total


def _result(entry: Entry, words: Sequence[str]) -> Result:
    matches = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.I)
    found = matches.search(entry.text)
    excerpt = _excerpt(entry.text, found.start() if found else 0)
    return Result(entry.page, entry.url, list(_parts(entry.title, matches)), list(_parts(excerpt, matches)))


def _excerpt(text: str, place: int) -> str:
    """Return the words around a place in the text, with ellipses where it is cut."""
    start = text.rfind(" ", 0, max(place - BEFORE, 0)) + 1
    end = text.find(" ", place + AFTER)
    cut = text[start : end if end >= 0 else None][: BEFORE + 2 * AFTER]
    return f"{'… ' if start else ''}{cut}{' …' if end >= 0 else ''}"


def _parts(text: str, matches: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    place = 0
    for match in matches.finditer(text):
        yield text[place : match.start()], False
        yield match[0], True
        place = match.end()
    yield text[place:], False


def _suggestion(words: Sequence[str], entries: Sequence[Entry]) -> str | None:
    """Return the query with each unknown word replaced by the most similar word of a heading, or None."""
    known = {word for entry in entries for word in re.findall(r"\w{3,}", entry.low_title)}
    found = [word if word in known else nearest(word, known) for word in words]
    return " ".join(word for word in found if word) if all(found) else None


def _entries() -> Sequence[Entry]:
    return _index(tuple(version_of(page.path) for page in library().pages.values()))


@lru_cache(maxsize=1)
def _index(versions: tuple[int, ...]) -> Sequence[Entry]:
    texts = [page for page in library().pages.values() if page.path != REFERENCE]
    found = [
        _entry(
            page.label if section.anchor else page.group,
            section.title,
            f"{page.url}{'#' if section.anchor else ''}{section.anchor}",
            section.text,
        )
        for page in texts
        for section in page.document().sections
    ]
    for operation, section in sections():
        url = reverse("web:operation", args=[operation.id])
        found.append(_entry("API reference", section.title, url, section.text))
    return found


def _entry(page: str, title: str, url: str, text: str) -> Entry:
    return Entry(page, title, url, text, page.lower(), title.lower(), text.lower())
