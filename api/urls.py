"""Paths below /api/."""

from django.urls import include, path, re_path

from api.endpoint import UnknownPath

urlpatterns = [
    path("v1/", include("api.v1.urls")),
    re_path(r"", UnknownPath.as_view()),
]
