"""The floor: a minimal Django view that reads and writes JSON, without any middleware."""

import json

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path


def answer(request: HttpRequest) -> JsonResponse:
    body = json.loads(request.body)
    return JsonResponse({"allowed": bool(body["token"])})


urlpatterns = [path("api/v1/tokens/verify", answer)]
# The processes of the server import this module again.
if not settings.configured:
    settings.configure(ROOT_URLCONF="benchmarks.floor", ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
application = WSGIHandler()
