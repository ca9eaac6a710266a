"""The admin list of the log: pages by cursor over the same search as all other readers use.

Besides the filters that it offers, the list takes in the URL what numbers on other pages link to: `from` and `to`, the
ends of a time, and `reasons`, which are separated by commas.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from administration.base import warn_of_search
from administration.lists import find_lookup, kind_of
from administration.log_sentence import ACTORS
from audit.entries.facets import is_own
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.reading import AuditEntry, read_entry
from audit.readers.reports import withhold_reporter, without_named_reports
from audit.readers.search import Listing, UnknownCursor, find_entry
from core import clock

CURSOR = "cursor"
# The parameters of the filters, and the criteria that they set.
FILTERS = {"event__exact": "event", "outcome__exact": "outcome", "actor": "actor"}
ENDS = {"from": "since", "to": "until"}
REASONS = "reasons"
DAYS = "days"
# More than there are. Each is a term of the search.
MAX_REASONS = 30
# The prefixes of the ids of those that act.
ACTOR_IDS = ("usr", "dev", "key", "agt", "res")
ID = "id"


class ActorFilter(admin.SimpleListFilter):
    """Entries by who acted: by kind, or by an id, to which the pages of an entry and of a person link."""

    title = gettext_lazy("Actor")
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        given = _last(self.used_parameters.get(self.parameter_name) or "")
        return [*ACTORS.items(), *([(given, given)] if kind_of(given) in ACTOR_IDS else [])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Filter nothing, because the log is not searched by a query. Raises `IncorrectLookupParameters`."""
        if self.value() not in (None, *(value for value, _ in self.lookup_choices)):
            raise IncorrectLookupParameters


class LogChangeList(ChangeList):
    """A page of the log. The rows are not counted.

    `newest` links to the first page and `older` to the next. They are empty where there is none.
    """

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Entry]:
        """Return no rows: `get_results` searches for them. Raises `IncorrectLookupParameters` for unknown filters."""
        self.cursor = _last(self.filter_params.pop(CURSOR, ""))  # links to other filters must not keep it
        linked = {name: self.filter_params.pop(name) for name in (*ENDS, REASONS) if name in self.filter_params}
        further: dict[str, Any] = {ENDS[name]: _moment(_last(linked[name])) for name in ENDS if name in linked}
        if REASONS in linked:
            further["reasons"] = frozenset(_last(linked[REASONS]).split(",")[:MAX_REASONS])
        # Django takes these for lookups that it does not know, so they are back only after it has read the filters.
        self.filter_specs, self.has_filters, unknown, _, self.has_active_filters = self.get_filters(request)
        self.filter_params |= linked
        given: dict[str, Any] = {}
        for spec in self.filter_specs:
            spec.queryset(request, Entry.objects.none())  # refuses values that it does not offer
            given |= {name: _last(value) for name, value in spec.used_parameters.items()}
        if unknown or not given.keys() <= {*FILTERS, DAYS}:
            raise IncorrectLookupParameters
        self.has_active_filters = self.has_active_filters or bool(linked)
        self.clear_all_filters_qs = self.get_query_string(remove=[*given, *ENDS, REASONS])
        self.searched = self._read_search(request)
        self.wanted = without_named_reports(replace(_criteria(given, self.searched or {}), **further))
        return Entry.objects.none()

    def get_results(self, request: HttpRequest) -> None:
        entries, cursor = self._page()
        self.result_list: Any = [row_of(entry) for entry in entries]
        self.newest = self.get_query_string() if self.cursor else ""
        self.older = self.get_query_string({CURSOR: cursor}) if cursor else ""
        self.paginator: Any = Paginator(self.result_list, max(1, self.list_per_page))
        self.result_count = len(self.result_list)
        self.full_result_count = None
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all = self.multi_page = False

    def _read_search(self, request: HttpRequest) -> dict[str, str] | None:
        """Return the criteria in the text of the search, or None if they are of no kind that can be searched for."""
        text = self.query.strip()
        if not text:
            return {}
        model_admin: Any = self.model_admin
        found = find_lookup(model_admin.searches, text)
        if found is None or _is_of_caller(found.get("request_id")):
            warn_of_search(request, model_admin.search_help_text)
            return None
        return found

    def _page(self) -> tuple[list[AuditEntry], str]:
        if self.searched is None:
            return [], ""
        if ID in self.searched:
            found = find_entry(self.wanted, self.searched[ID])
            return [read_entry(found)] if found else [], ""
        try:
            return Listing(self.wanted).page(self.cursor, self.list_per_page)
        except UnknownCursor as error:
            raise IncorrectLookupParameters from error


def row_of(entry: AuditEntry) -> Entry:
    """Return the entry as a row that Django can show, and that `entry_of` takes back."""
    entry = withhold_reporter(entry)
    row = Entry(
        id=entry.id,
        timestamp=entry.timestamp,
        event=entry.event,
        outcome=entry.outcome,
        user_id=entry.user_id,
        agent_id=entry.agent_id,
        consent_id=entry.consent_id,
        organizations=" ".join(entry.organization_ids),
    )
    row.shown = entry  # type: ignore[attr-defined]
    return row


def entry_of(row: Entry) -> AuditEntry:
    """Return the entry that a row of `row_of` shows."""
    return row.shown  # type: ignore[attr-defined]


def _criteria(given: Mapping[str, str], searched: Mapping[str, str]) -> Criteria:
    filters: dict[str, Any] = {FILTERS[name]: value for name, value in given.items() if name != DAYS}
    subjects: dict[str, Any] = {name: value for name, value in searched.items() if name != ID}
    since = clock.now() - timedelta(days=int(given[DAYS])) if DAYS in given else None
    return Criteria(**filters, **subjects, since=since)


def _moment(text: str) -> datetime:
    """Return the moment. Raises `IncorrectLookupParameters` for any other text, and for a time without its zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise IncorrectLookupParameters from error
    if found.tzinfo is None:
        raise IncorrectLookupParameters
    return found


def _is_of_caller(request_id: str | None) -> bool:
    """Return whether the caller chose this request ID. Only the IDs that this program makes are indexed."""
    return request_id is not None and not is_own(request_id)


def _last(value: Any) -> Any:
    return value[-1] if isinstance(value, list) else value
