"""The pages for errors. No request leads to some of them on purpose, so they get URLs of their own."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

from tests.web.browser.pages.group import Group, nothing

CODES = (400, 403, 404, 429, 500)
TEMPLATES = {code: f"{code}.html" for code in CODES} | {4030: "403_csrf.html"}


def error(request: HttpRequest, code: int) -> HttpResponse:
    return render(request, TEMPLATES[code], status=int(str(code)[:3]))


urlpatterns = [path("errors/<int:code>", error), path("", include("agentgate.urls"))]

GROUPS = [Group("errors", nothing, [f"/errors/{code}" for code in TEMPLATES], urls=__name__)]
