"""The audit log, read-only for all administrators."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from audit.events import Event, Outcome
from audit.models import Entry
from audit.reading import read_entry
from core.admin_lists import CreatedFilter, one_of
from core.administration import ReadOnlyAdmin, pretty


class EvidenceAdmin(ReadOnlyAdmin):
    """Read-only rows without actions."""

    actions = None

    def has_act_permission(self, request: HttpRequest) -> bool:
        return False


def _from_body(name: str, *, description: str) -> Any:
    """Return a column that shows one member of the entry's canonical JSON."""

    @admin.display(description=description)
    def column(entry: Entry) -> str:
        return entry.content.get(name) or "-"

    return column


@admin.register(Entry)
class EntryAdmin(EvidenceAdmin):
    list_display = ["timestamp", "event", "outcome", "reason", "agent_id", "user_id", "organizations"]
    list_display_links = ["timestamp"]
    list_filter = [("outcome", one_of(Outcome)), CreatedFilter, ("event", one_of(Event))]
    searches = {"log": "id", "org": "concerns__organization_id", "usr": "user_id", "agt": "agent_id"}
    searches |= {"cns": "consent_id"}
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
    ]
    fieldsets = [
        (None, {"fields": ["id", "timestamp", "event", "outcome", "reason", "actor"]}),
        ("Request", {"fields": ["action", "scopes", "policy", "metadata"]}),
        ("Subjects", {"fields": ["organizations", "agent_id", "user_id", "consent_id"]}),
        ("Origin", {"fields": ["request_id", "personal"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        """Return all entries, those of the latest decisions included."""
        return super().get_queryset(request)

    reason = staticmethod(_from_body("reason", description="reason"))
    action = staticmethod(_from_body("action", description="action"))
    policy = staticmethod(_from_body("policyId", description="policy"))
    request_id = staticmethod(_from_body("requestId", description="request ID"))

    @admin.display(description="actor")
    def actor(self, entry: Entry) -> str:
        actor = entry.content["actor"]
        return f"{actor['kind']} {actor['id'] or ''}".strip()

    @admin.display(description="organizations")
    def organizations(self, entry: Entry) -> str:
        return " ".join(entry.organization_ids) or "-"

    @admin.display(description="scopes")
    def scopes(self, entry: Entry) -> str:
        return " ".join(entry.content["scopes"])

    @admin.display(description="details")
    def metadata(self, entry: Entry) -> SafeString:
        return pretty(entry.content["metadata"])

    @admin.display(description="personal data")
    def personal(self, entry: Entry) -> SafeString | str:
        personal = read_entry(entry).personal
        return pretty(personal) if personal else "erased"
