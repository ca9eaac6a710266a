"""All URLs, and one whose page takes two seconds."""

import time

from django.http import HttpRequest, HttpResponse
from django.urls import path

from agentgate import urls

SECONDS = 2


def slow(request: HttpRequest) -> HttpResponse:
    time.sleep(SECONDS)
    return HttpResponse("at last")


urlpatterns = [path("slow/", slow), *urls.urlpatterns]
