"""The pages for errors. No request leads to some of them on purpose, so they get URLs of their own."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

from tests.web.browser.pages.group import Group, Page, nothing

CODES = (400, 403, 404, 429, 500)
TEMPLATES = {code: f"{code}.html" for code in CODES} | {4030: "403_csrf.html"}


def error(request: HttpRequest, code: int) -> HttpResponse:
    return render(request, TEMPLATES[code], status=status_of(code))


def status_of(code: int) -> int:
    return int(str(code)[:3])


urlpatterns = [path("errors/<int:code>", error), path("", include("agentgate.urls"))]

PAGES = [Page(f"/errors/{code}", status=status_of(code)) for code in TEMPLATES]
GROUPS = [Group("errors", nothing, PAGES[-2:], PAGES[:-2], urls=__name__)]
