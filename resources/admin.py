from django.contrib import admin

from core.administration import ReadOnlyAdmin
from developers.admin import COLLEAGUES, SecretAdmin
from resources.models import CustomScope, ResourceServer, ResourceServerSecret, ScopePrefix


@admin.register(ResourceServer)
class ResourceServerAdmin(ReadOnlyAdmin):
    owners = [COLLEAGUES]
    list_display = ["name", "identifier", "organization", "created_at"]
    list_select_related = ["organization"]
    date_hierarchy = "created_at"
    search_fields = ["=id", "name", "identifier", "=organization__id", "organization__name"]
    fields = ["id", "name", "identifier", "organization", "scopes", "created_at", "updated_at"]


@admin.register(ResourceServerSecret)
class ResourceServerSecretAdmin(SecretAdmin):
    owners = ["resource_server__organization__developers__user"]
    list_display = ["__str__", "resource_server", "created_at", "expires_at"]
    list_select_related = ["resource_server"]
    search_fields = ["=id", "=resource_server__id", "resource_server__name"]
    fields = ["id", "resource_server", "last_four", "created_at", "expires_at"]


@admin.register(CustomScope)
class CustomScopeAdmin(ReadOnlyAdmin):
    owners = [COLLEAGUES]
    list_display = ["id", "risk_level", "title", "organization"]
    list_select_related = ["organization"]
    list_filter = ["risk_level"]
    search_fields = ["id", "title", "organization__name"]
    fields = ["id", "organization", "risk_level", "title", "description", "cannot"]


@admin.register(ScopePrefix)
class ScopePrefixAdmin(ReadOnlyAdmin):
    owners = [COLLEAGUES]
    list_display = ["prefix", "organization"]
    list_select_related = ["organization"]
    search_fields = ["prefix", "organization__name"]
    fields = ["prefix", "organization"]
