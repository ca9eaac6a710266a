"""The baseline: a minimal Django view for a JSON POST, on the same server with the same processes and threads."""

import json
import os

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path
from granian import Granian
from granian.constants import Interfaces


def answer(request: HttpRequest) -> JsonResponse:
    body = json.loads(request.body)
    return JsonResponse({"allowed": bool(body["token"])})


urlpatterns = [path("api/v1/tokens/verify", answer)]
# The worker processes import this module again, after the main process has already configured the settings.
if not settings.configured:
    settings.configure(ROOT_URLCONF="benchmarks.floor", ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
application = WSGIHandler()

if __name__ == "__main__":
    Granian(
        "benchmarks.floor:application",
        port=int(os.environ["API_PORT"]),
        interface=Interfaces.WSGI,
        workers=int(os.environ["WEB_CONCURRENCY"]),
        blocking_threads=8,
    ).serve()
