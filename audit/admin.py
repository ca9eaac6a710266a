"""The audit log, read-only for all administrators."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.admin_lists import ID, ActorFilter, LogChangeList, entry_of, row_of
from audit.events import Event, Outcome
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.reading import read_entry
from audit.readers.search import find_entry
from core.admin_lists import CreatedFilter, one_of
from core.administration import ReadOnlyAdmin, pretty


class EvidenceAdmin(ReadOnlyAdmin):
    """Read-only rows without actions."""

    actions = None

    def has_act_permission(self, request: HttpRequest) -> bool:
        return False


def _from_record(name: str, *, description: Any) -> Any:
    """Return a column that shows one member of the entry's content."""

    @admin.display(description=description)
    def column(row: Entry) -> str:
        return str(entry_of(row).content.get(name) or "")

    return column


@admin.register(Entry)
class EntryAdmin(EvidenceAdmin):
    list_display = ["timestamp", "event", "outcome", "reason", "agent_id", "user_id", "organizations"]
    list_display_links = ["timestamp"]
    list_filter = [("outcome", one_of(Outcome)), CreatedFilter, ActorFilter, ("event", one_of(Event))]
    # Not lookups, but criteria of the search.
    searches = {"log": ID, "org": "organization_id", "usr": "user_id", "agt": "agent_id", "cns": "consent_id"}
    readonly_fields = [
        "actor",
        "reason",
        "action",
        "scopes",
        "policy",
        "organizations",
        "request_id",
        "metadata",
        "personal",
        "place",
    ]
    fieldsets = [
        (None, {"fields": ["id", "timestamp", "event", "outcome", "reason", "actor"]}),
        (gettext_lazy("Request"), {"fields": ["action", "scopes", "policy", "metadata"]}),
        (gettext_lazy("Subjects"), {"fields": ["organizations", "agent_id", "user_id", "consent_id"]}),
        (gettext_lazy("Origin"), {"fields": ["request_id", "personal"]}),
        (gettext_lazy("Evidence"), {"fields": ["place"]}),
    ]

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return LogChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Entry | None:
        """Return the entry, from the log or the journal, or None."""
        found = find_entry(Criteria(), object_id)
        return row_of(read_entry(found)) if found else None

    reason = staticmethod(_from_record("reason", description=gettext_lazy("Reason")))
    action = staticmethod(_from_record("action", description=gettext_lazy("Action")))
    policy = staticmethod(_from_record("policyId", description=gettext_lazy("Policy")))
    request_id = staticmethod(_from_record("requestId", description=gettext_lazy("Request ID")))

    @admin.display(description=gettext_lazy("Actor"))
    def actor(self, row: Entry) -> str:
        actor = entry_of(row).content["actor"]
        return f"{actor['kind']} {actor['id'] or ''}".strip()

    @admin.display(description=gettext_lazy("Scopes"))
    def scopes(self, row: Entry) -> str:
        return " ".join(entry_of(row).content["scopes"])

    @admin.display(description=gettext_lazy("Details"))
    def metadata(self, row: Entry) -> SafeString:
        return pretty(entry_of(row).content["metadata"])

    @admin.display(description=gettext_lazy("Personal data"))
    def personal(self, row: Entry) -> SafeString | str:
        entry = entry_of(row)
        return _("erased") if entry.is_erased else pretty(entry.personal)

    @admin.display(description=gettext_lazy("Index in the log"))
    def place(self, row: Entry) -> str:
        index = entry_of(row).index
        return _("waiting in the journal") if index is None else str(index)
