from django.contrib import admin
from django.utils.translation import gettext_lazy

from administration.base import ReadOnlyAdmin
from administration.developers import COLLEAGUES, SecretAdmin
from administration.lists import TEXT, URL, CreatedFilter
from resources.models import CustomScope, ResourceServer, ResourceServerSecret, ScopePrefix


@admin.register(ResourceServer)
class ResourceServerAdmin(ReadOnlyAdmin):
    owners = [COLLEAGUES]
    list_display = ["name", "identifier", "organization", "created_at"]
    list_select_related = ["organization"]
    list_filter = [CreatedFilter]
    parts = ["name"]
    searches = {"res": "id", URL: "identifier", "org": "organization", "rss": "secrets"}
    fields = ["id", "name", "identifier", "organization", "scopes", "created_at", "updated_at"]


@admin.register(ResourceServerSecret)
class ResourceServerSecretAdmin(SecretAdmin):
    owners = ["resource_server__organization__developers__user"]
    list_display = ["__str__", "resource_server", "created_at", "expires_at"]
    list_select_related = ["resource_server"]
    searches = {"rss": "id", "res": "resource_server", URL: "resource_server__identifier"}
    fields = ["id", "resource_server", "last_four", "created_at", "expires_at"]


@admin.register(CustomScope)
class CustomScopeAdmin(ReadOnlyAdmin):
    owners = [COLLEAGUES]
    list_display = ["id", "risk_level", "title", "organization"]
    list_select_related = ["organization"]
    list_filter = ["risk_level"]
    searches = {TEXT: "id", "org": "organization"}
    searched_text = gettext_lazy("scope (tickets:read)")
    fields = ["id", "organization", "risk_level", "title", "description", "cannot", "labels", "is_reversible"]
    fields += ["covers", "excludes"]


@admin.register(ScopePrefix)
class ScopePrefixAdmin(ReadOnlyAdmin):
    owners = [COLLEAGUES]
    list_display = ["prefix", "organization"]
    list_select_related = ["organization"]
    searches = {TEXT: "prefix", "org": "organization"}
    searched_text = gettext_lazy("prefix")
    fields = ["prefix", "organization"]
