"""What an admin list may ask of a big table: searches, filters and counts that an index answers.

Django's own search compares `UPPER(column)` with a part of the text in every row, across joins, and counts all results.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst, get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import clock
from core.ids import lowest_id

MAX_COUNT = 10_000
# More kinds of ids are not named in the field of a search.
MAX_KINDS_NAMED = 3

# The kinds of text in a search, other than the prefix of an id.
EMAIL, URL, TEXT = "@", "://", ""
ID = re.compile(r"([a-z]{3})_[A-Za-z0-9_-]+")


class BoundedPaginator(Paginator):
    """Count at most `MAX_COUNT` rows. Rows beyond them have no page, and are found by a search or a filter."""

    object_list: Any

    @cached_property
    def found(self) -> int:
        return int(self.object_list.order_by()[: MAX_COUNT + 1].count())

    @property
    def count(self) -> int:
        return min(self.found, MAX_COUNT)

    def page(self, number: int | str) -> Page[Any]:
        """Return the page. Its ids are read first: otherwise the rows of earlier pages would be joined and skipped."""
        page, rows = super().page(number), self.object_list
        found: Any = page.object_list
        page.object_list = rows.filter(pk__in=list(found.values_list("pk", flat=True)))
        return page

    @property
    def count_in_words(self) -> str:
        return f"{self.count:,}{'+' if self.found > MAX_COUNT else ''}"


def find_lookup(searches: Mapping[str, str], text: str) -> dict[str, str] | None:
    """Return the lookup for the text of a search, or None if it is of no kind in `searches`.

    `searches` has a lookup for each prefix of an id ("agt"), `EMAIL`, `URL` and `TEXT`, which is any other text.
    """
    kind = kind_of(text)
    if kind in searches:
        return {searches[kind]: text.lower() if kind == EMAIL else text}
    return {searches[TEXT]: text} if TEXT in searches else None


def describe_searches(searches: Mapping[str, str], text: Any, *, can_be_part: bool = False) -> str:
    """Return what can be searched for, in words. `text` is what `TEXT` stands for."""
    names = {EMAIL: _("email address"), URL: _("URL"), TEXT: str(text)}
    ids = ", ".join(f"{kind}_…" for kind in searches if kind not in names)
    others = [names[kind] for kind in searches if kind in names]
    known = [*([_("ID (%(ids)s)") % {"ids": ids}] if ids else []), *others]
    words = _("Enter a whole %(kinds)s, or part of a name.") if can_be_part else _("Enter a whole %(kinds)s.")
    return words % {"kinds": _(" or ").join(known)}


def name_searches(searches: Mapping[str, str], text: Any) -> str:
    """Return the same in a few words: "Name, URL or ID". If there are only ids: "ID (ses_…, usr_…)"."""
    names = [words for kind, words in ((TEXT, text), (EMAIL, _("email address")), (URL, _("URL"))) if kind in searches]
    kinds = [f"{kind}_…" for kind in searches if kind not in (TEXT, EMAIL, URL)]
    if not names:
        return _("ID (%(ids)s)") % {"ids": ", ".join(kinds)} if len(kinds) <= MAX_KINDS_NAMED else _("Any ID")
    return capfirst(get_text_list([*map(str, names), *([_("ID")] if kinds else [])], _("or")))


def one_of(values: Iterable[str], words: Mapping[str, Any] | None = None) -> type[admin.FieldListFilter]:
    """Return a filter by these values, in `words` if there are any. Without it, Django asks which values occur."""
    choices = [(str(value), (words or {}).get(str(value), str(value))) for value in values]

    class OneOf(admin.ChoicesFieldListFilter):
        def __init__(self, field: Any, *args: Any, **kwargs: Any) -> None:
            field = copy(field)
            field.choices = choices
            super().__init__(field, *args, **kwargs)

    return OneOf


def whether(is_set: Any, is_empty: Any) -> type[admin.FieldListFilter]:
    """Return a filter by whether the column has a value, with these words for both."""

    class Whether(admin.EmptyFieldListFilter):
        def choices(self, changelist: Any) -> Iterator[Any]:
            words = {"1": is_empty, "0": is_set}
            for lookup, choice in zip((None, "1", "0"), super().choices(changelist), strict=True):
                yield {**choice, "display": words.get(lookup or "", choice["display"])}

    return Whether


class CreatedFilter(admin.SimpleListFilter):
    """The rows of the last days. Ids begin with the time, so the primary key's index finds them."""

    title = gettext_lazy("Age")
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", _("Last 24 hours")), ("7", _("Last 7 days")), ("30", _("Last 30 days"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        days = self.value()
        if days is None:
            return None
        if days not in dict(self.lookup_choices):
            raise IncorrectLookupParameters
        prefix: Any = queryset.model._meta.pk
        return queryset.filter(pk__gte=lowest_id(prefix.prefix, clock.now() - timedelta(days=int(days))))


def kind_of(text: str) -> str:
    if URL in text:
        return URL
    if EMAIL in text:
        return EMAIL
    found = ID.fullmatch(text)
    return found[1] if found else TEXT
