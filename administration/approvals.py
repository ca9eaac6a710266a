from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from administration.base import ReadOnlyAdmin
from administration.lists import EMAIL, CreatedFilter
from approvals.models import Approval


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """Approvals without what was asked for, which is the user's. Administrators who read consents read them."""

    owners = ["user", "agent__organization__developers__user"]
    list_display = ["id", "agent", "user", "status", "created_at", "decided_at", "expires_at"]
    list_select_related = ["agent", "user"]
    list_filter = ["status", CreatedFilter]
    searches = {"apr": "id", "cns": "consent", "usr": "user", EMAIL: "user__email", "agt": "agent"}
    fields = ["id", "status", "agent", "user", "consent", "asked_scopes", "created_at", "decided_at", "expires_at"]
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("consent.view_consent")

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """Also allow the filter by organization, which an organization's page links to."""
        return lookup == "agent__organization__id__exact" or super().lookup_allowed(lookup, value, request)
