"""Changes to other apps' admin pages. This app is listed last, so the others have registered theirs."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.http import HttpRequest

from core.admin_lists import EMAIL
from core.administration import ReadOnlyAdmin, is_superuser
from core.guarded_admin import GuardedAdmin

EMAIL_ADDRESS = apps.get_model("account", "EmailAddress")
AUTHENTICATOR = apps.get_model("mfa", "Authenticator")


class EmailAddressAdmin(ReadOnlyAdmin):
    """Read-only, because adding an address to an account would allow taking it over."""

    owners = ["user"]
    list_display = ["email", "user", "primary", "verified"]
    list_select_related = ["user"]
    list_filter = ["verified"]
    searches = {EMAIL: "email", "usr": "user"}
    actions = None


class GroupAdmin(GuardedAdmin):
    """Only superusers, because administrators who can edit their own group could promote themselves."""

    search_fields = ["name"]
    filter_horizontal = ["permissions"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Load each permission with its content type, which its label shows."""
        if db_field.name == "permissions":
            kwargs["queryset"] = Permission.objects.select_related("content_type")
        return super().formfield_for_manytomany(db_field, request, **kwargs)


admin.site.unregister([apps.get_model("oauth2_provider", "IDToken"), EMAIL_ADDRESS, AUTHENTICATOR, Group])
admin.site.register(EMAIL_ADDRESS, EmailAddressAdmin)
admin.site.register(Group, GroupAdmin)
