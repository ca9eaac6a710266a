"""All URLs: the JSON API, the pages, the admin."""

from allauth.account.views import password_reset_from_key
from django.contrib import admin
from django.urls import include, path, re_path

urlpatterns = [
    path("api/", include("api.urls")),
    path("accounts/", include("allauth.urls")),
    # allauth's own pattern for the link in the mail does not know the underscore of our ids.
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>usr_[0-9a-f]+)-(?P<key>.+)/$",
        password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("admin/", admin.site.urls),
    path("", include("oauth.urls")),
    path("", include("web.urls")),
]
