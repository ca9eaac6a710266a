from django.contrib import admin
from django.http import HttpRequest

from core.administration import ReadOnlyAdmin
from core.models import Counter, IdempotencyRecord


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin):
    list_display = ["key", "expires_at"]
    search_fields = ["key"]
    list_filter = ["expires_at"]
    fields = ["key", "slot", "expires_at"]


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(ReadOnlyAdmin):
    """A list to see how many there are; a record holds digests and a sealed answer, so there is nothing to open."""

    list_display = ["expires_at", "is_answered"]
    list_display_links = None
    list_filter = ["expires_at"]
    date_hierarchy = "expires_at"
    actions = None

    def has_view_permission(self, request: HttpRequest, obj: IdempotencyRecord | None = None) -> bool:
        return obj is None and super().has_view_permission(request)

    @admin.display(boolean=True, description="answered")
    def is_answered(self, record: IdempotencyRecord) -> bool:
        return record.sealed_answer is not None
