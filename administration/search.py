"""The search over people, agents, organizations, consents, tokens and log entries, by ids, addresses and names.

People come first, with what they have. Parts of names are found among the newest rows (`administration.base`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.contrib import admin
from django.http import HttpRequest

from accounts.models import SessionToken, User
from administration.areas import may_read, noun_of
from administration.base import SHORTEST_PART
from administration.joined import Figure, figures_of_each
from administration.links import list_url, row_url
from administration.lists import TEXT, kind_of
from administration.log_lines import Line, log_lines, recent_lines
from agents.models import Agent
from approvals.models import Approval
from audit.entries.facets import is_own
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.reading import read_entry
from audit.readers.search import find_entry
from consent.models import Consent
from developers.models import Developer, Organization
from policies.models import Policy
from resources.models import ResourceServer
from tokens.models import Delegation, SigningKey, TokenFamily

SHOWN = 5
# For each person.
MAX_ORGANIZATIONS = 5
MAX_LENGTH = 200
# In the order of the results.
MODELS: tuple[Any, ...] = (User, Organization, Agent, Consent, TokenFamily, Policy, ResourceServer, Developer)
MODELS += (SessionToken, Approval, Delegation, SigningKey)
# The ids of signing keys, which have no prefix (RFC 7638).
KID = re.compile(r"[A-Za-z0-9_-]{43}")
# An id leads to its row first, and then to what belongs to it. More models would need more queries.
MOST_QUERIES = 8
# Ids that only entries of the log have: their own, and those of requests.
OF_LOG = ("log", "req")
# Secrets have 43 random characters (`core.secrets`). Access tokens are JWTs, whose first part is JSON: "eyJ" is `{"`.
SECRET = re.compile(r"agcode_.+|(?!agc_)[a-z]{2,6}_[A-Za-z0-9_-]{43}|eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+){2}")


class Person(NamedTuple):
    """A person with their numbers, and the organizations that they are a member of, with the URLs of their pages."""

    row: User
    url: str
    organizations: list[tuple[Organization, str]]
    figures: list[Figure]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a model. `all_url` is the list with the same search. `people` are the rows with what they have."""

    noun: Any
    page: Any
    rows: list[Any]
    all_url: str
    people: list[Person] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Results:
    """`nouns` are what the administrator may search for. `is_short` says that no names have been searched for the text.

    `is_secret` says that it looks like a secret, which is not searched for at all.
    """

    found: list[Found] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    nouns: list[Any] = field(default_factory=list)
    is_short: bool = False
    is_secret: bool = False


def search(request: HttpRequest, text: str) -> Results:
    """Return what the text names, without what the administrator may not read. It is never compared with a secret."""
    text = text.strip()
    if SECRET.fullmatch(text):
        return Results(is_secret=True)
    if not text or len(text) > MAX_LENGTH:
        return Results()
    nouns = [noun_of(model).plural for model in (*MODELS, Entry) if may_read(request, model)]
    return Results(list(_rows(request, text)), _lines(request, text), nouns, len(text) < SHORTEST_PART)


def _rows(request: HttpRequest, text: str) -> Iterator[Found]:
    kind, left = kind_of(text), MOST_QUERIES
    if kind in OF_LOG:
        return
    is_key = kind == TEXT and KID.fullmatch(text)
    # The model that the id belongs to comes first.
    for model in sorted(MODELS, key=lambda model: model is not SigningKey if is_key else _prefix(model) != kind):
        page: Any = admin.site._registry[model]
        if left <= 0 or not may_read(request, model):
            continue
        rows, queries = _find(page, page.get_queryset(request), text)
        people = _people(request, rows) if model is User and rows else []
        left -= queries + (2 if people else 0)
        if rows:
            yield Found(noun_of(model), page, rows, list_url(model, q=text), people)


def _people(request: HttpRequest, rows: Sequence[User]) -> list[Person]:
    """Return the people with what they have, by two queries. Organizations need a permission of their own."""
    joined: dict[str, list[tuple[Organization, str]]] = {row.pk: [] for row in rows}
    if may_read(request, Organization):
        members = Developer.objects.filter(user__in=joined, ended_at=None).select_related("organization")
        for member in members.order_by("pk")[: SHOWN * MAX_ORGANIZATIONS]:
            joined[member.user_id].append((member.organization, row_url(Organization, member.organization_id)))
    figures = zip(rows, figures_of_each(request, rows), strict=True)
    return [Person(row, row_url(User, row.pk), joined[row.pk][:MAX_ORGANIZATIONS], each) for row, each in figures]


def _find(page: Any, rows: Any, text: str) -> tuple[list[Any], int]:
    """Return the first rows with this text, and how many queries that took. A whole name comes before its parts."""
    wanted = [found for found in (page.find_exactly(rows, text), page.find_parts(rows, text)) if found is not None]
    for number, found in enumerate(wanted, 1):
        if first := list(found[:SHOWN]):
            return first, number
    return [], len(wanted)


def _lines(request: HttpRequest, text: str) -> list[Line]:
    if not may_read(request, Entry):
        return []
    if kind_of(text) == "log":
        found = find_entry(Criteria(), text)
        return log_lines(request, [read_entry(found)]) if found else []
    if is_own(text):  # those that a caller chose are not indexed
        return recent_lines(request, Criteria(request_id=text), SHOWN)
    return []


def _prefix(model: Any) -> str:
    return str(getattr(model._meta.pk, "prefix", "-"))
