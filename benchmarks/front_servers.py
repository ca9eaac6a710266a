"""The servers that `benchmarks/front.py` compares: `python -m benchmarks.front_servers NAME PORT PROCESSES`."""

import json
import os
import sys
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path

BODY = b'{"allowed": true}'
JSON = ("Content-Type", "application/json")


def answer(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"allowed": bool(json.loads(request.body)["token"])})


urlpatterns = [path("api/v1/tokens/verify", answer)]


class Hot:
    """Hot paths that answer everything, or nothing if Django is to be measured."""

    def __init__(self) -> None:
        from core.messages import Reply

        self._reply = Reply(200, (JSON,), BODY)
        self._is_on = os.environ["CANDIDATE"] == "front"

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def answer(self, request: Any, done: Any, leave: Any) -> bool:
        if self._is_on:
            done(self._reply)
        return self._is_on


async def front(scope: Any, receive: Any, send: Any) -> None:
    from benchmarks.front_wsgi import application
    from server.front import process

    vars(process).update(HotPaths=Hot, django_application=application)
    await process.application(scope, receive, send)


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """A minimal ASGI application."""
    if scope["type"] == "lifespan":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def serve_uvicorn(port: int, processes: int, **options: Any) -> None:
    from uvicorn import Config
    from uvicorn.supervisors import Multiprocess

    config = Config(port=port, workers=processes, loop="uvloop", log_level="warning", access_log=False, **options)
    Multiprocess(config, [config.bind_socket()]).run()


def serve_granian(port: int, processes: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    target = "benchmarks.front_wsgi:application"
    Granian(target, port=port, interface=Interfaces.WSGI, workers=processes, blocking_threads=8).serve()


def serve(name: str, port: int, processes: int) -> None:
    if name == "granian-django":
        serve_granian(port, processes)
    elif name == "uvicorn-django":
        serve_uvicorn(port, processes, app="benchmarks.front_wsgi:asynchronous", http="httptools", lifespan="off")
    elif name == "uvicorn":
        serve_uvicorn(port, processes, app="benchmarks.front_servers:plain", http="httptools", lifespan="off")
    else:
        protocol = "server.front.process:Connection"
        serve_uvicorn(port, processes, app="benchmarks.front_servers:front", http=protocol, lifespan="on")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
