"""Paths below /api/."""

from django.urls import include, path, re_path

from api.documentation import OpenApiDocument, documentation, errors_page
from api.endpoint import UnknownPath

urlpatterns = [
    path("docs", documentation, name="docs"),
    path("docs/errors", errors_page),
    path("v1/openapi.json", OpenApiDocument.as_view(), name="openapi"),
    path("v1/", include("api.v1.urls")),
    re_path(r"", UnknownPath.as_view()),
]
