from django.contrib import admin

from core.administration import ReadOnlyAdmin, UnopenedAdmin
from core.models import Counter, IdempotencyRecord


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin):
    list_display = ["key", "expires_at"]
    search_fields = ["key"]
    list_filter = ["expires_at"]
    fields = ["key", "slot", "expires_at"]


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(UnopenedAdmin):
    list_display = ["expires_at", "is_answered"]
    list_filter = ["expires_at"]
    date_hierarchy = "expires_at"

    @admin.display(boolean=True, description="answered")
    def is_answered(self, record: IdempotencyRecord) -> bool:
        return record.sealed_answer is not None
