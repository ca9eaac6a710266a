"""Full-text search in the sections of the documentation and of the API reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from django.urls import reverse

from web.public.docs import pages, reference
from web.public.docs.markdown import Document, Section

MAX_QUERY = 100
MAX_WORDS = 8
MAX_RESULTS = 30
BEFORE, AFTER = 60, 180
# A match in the heading counts more than all counted matches in the text together.
IN_TITLE, IN_PAGE, MAX_COUNTED = 100, 20, 10


@dataclass(frozen=True, slots=True)
class Result:
    """A section that was found. `page` is the title of its page."""

    page: str
    title: str
    url: str
    excerpt: str


def search(query: str) -> tuple[Sequence[Result], int]:
    """Return the best sections that contain all words of the query, best first, and the total number of matches."""
    words = query[:MAX_QUERY].lower().split()[:MAX_WORDS]
    scored = [(_score(page, section, words), page, url, section) for page, url, section in _sections()] if words else []
    found = sorted((each for each in scored if each[0]), key=lambda each: -each[0])
    return [
        Result(page, section.title, url, _excerpt(section.text, words)) for _, page, url, section in found[:MAX_RESULTS]
    ], len(found)


def _score(page: str, section: Section, words: Sequence[str]) -> int:
    """Return how well the section matches, or 0 if a word is missing."""
    title, text, page = section.title.lower(), section.text.lower(), page.lower()
    scores = [
        IN_TITLE * (word in title) + IN_PAGE * (word in page) + min(text.count(word), MAX_COUNTED) for word in words
    ]
    return sum(scores) if all(scores) else 0


def _excerpt(text: str, words: Sequence[str]) -> str:
    """Return the text around the first of the words, with ellipses where it is cut."""
    place = min((place for word in words if (place := text.lower().find(word)) >= 0), default=0)
    start = text.rfind(" ", 0, max(place - BEFORE, 0)) + 1
    end = text.find(" ", place + AFTER)
    cut = text[start : end if end >= 0 else None][: BEFORE + 2 * AFTER]
    return f"{'… ' if start else ''}{cut}{' …' if end >= 0 else ''}"


@cache
def _sections() -> Sequence[tuple[str, str, Section]]:
    """Return all sections, each with the title of its page and its URL."""
    return [
        (document.title, f"{url}{'#' if section.anchor else ''}{section.anchor}", section)
        for url, document in _documents()
        for section in document.sections
    ]


def _documents() -> Iterator[tuple[str, Document]]:
    for name in pages.files():
        if document := pages.page(name):
            yield pages.url_of(name), document
    for name in reference.operations():
        if document := reference.operation(name):
            yield reverse("web:operation", args=[name]), document
