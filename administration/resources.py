from django.contrib import admin
from django.utils.translation import gettext_lazy

from administration.base import ReadOnlyAdmin
from administration.developers import COLLEAGUES
from administration.lists import TEXT, URL, CreatedFilter
from resources.models import CustomScope, ResourceServer


@admin.register(ResourceServer)
class ResourceServerAdmin(ReadOnlyAdmin):
    owners = [COLLEAGUES]
    list_display = ["name", "identifier", "organization", "created_at"]
    list_select_related = ["organization"]
    list_filter = [CreatedFilter]
    parts = ["name"]
    searches = {"res": "id", URL: "identifier", "org": "organization", "rss": "secrets"}
    fields = ["id", "name", "identifier", "organization", "scopes", "created_at", "updated_at"]


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
