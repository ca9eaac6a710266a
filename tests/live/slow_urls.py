"""All URLs, and one whose page takes five seconds."""

import time

from django.http import HttpRequest, HttpResponse
from django.urls import path

from agentgate import urls

SECONDS = 5


def slow(request: HttpRequest) -> HttpResponse:
    time.sleep(SECONDS)
    return HttpResponse("at last")


urlpatterns = [path("slow/", slow), *urls.urlpatterns]
