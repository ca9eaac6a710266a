"""All URLs: the JSON API, the OAuth endpoints, the pages and the admin site."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/", include("api.urls")),
    path("accounts/", include("web.entrance_urls")),
    path("admin/", admin.site.urls),
    path("", include("oauth.urls")),
    path("", include("web.urls")),
]
