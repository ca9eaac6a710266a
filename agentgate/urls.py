"""All URLs: the JSON API, the OAuth endpoints, the pages, the admin site and the metrics."""

from django.contrib import admin
from django.urls import include, path

from server.metrics import metrics

handler400 = "server.front.failures.bad_request"
handler500 = "server.front.failures.server_error"
handler404 = "web.requests.missing.not_found"
urlpatterns = [
    path("api/", include("api.urls")),
    path("accounts/", include("web.public.entrance.urls")),
    path("admin/", admin.site.urls),
    path("metrics", metrics),
    path("", include("oauth.urls")),
    path("developer/<organization:organization_id>/", include("web.portal.urls")),
    path("", include("web.urls")),
]
