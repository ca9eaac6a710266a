"""The audit log, read-only for all administrators."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from administration.base import ReadOnlyAdmin
from administration.entry_page import EntryPage, read_entry_page, withhold_contents
from administration.links import is_superuser, list_url
from administration.lists import CreatedFilter, one_of
from administration.log_lines import OUTCOMES
from administration.log_list import ID, ActorFilter, LogChangeList, entry_of, row_of
from audit.events import Event, Outcome
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.reading import read_entry
from audit.readers.search import find_entry


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    """The log, without actions."""

    actions = None
    list_per_page = 36  # its rows are larger than other lists'
    list_display = ["timestamp", "event", "outcome", "agent_id", "user_id", "organizations"]
    list_display_links = ["timestamp"]
    list_filter = [("outcome", one_of(Outcome, OUTCOMES)), CreatedFilter, ActorFilter, ("event", one_of(Event))]
    # Not lookups, but criteria of the search.
    searches = {"log": ID, "org": "organization_id", "usr": "user_id", "agt": "agent_id", "cns": "consent_id"}
    searches |= {"req": "request_id"}
    fields = ["id"]
    change_form_template = "admin/audit/entry/change_form.html"

    def has_act_permission(self, request: HttpRequest) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return LogChangeList

    def joined_to(self, request: HttpRequest, row: Any) -> EntryPage:
        """Return what the page of the entry shows. The contents of requests are only for superusers."""
        entry = entry_of(row) if is_superuser(request) else withhold_contents(entry_of(row))
        return read_entry_page(request, entry, list_url(Entry))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Entry | None:
        """Return the entry, from the log or the journal, or None."""
        found = find_entry(Criteria(), object_id)
        return row_of(read_entry(found)) if found else None
