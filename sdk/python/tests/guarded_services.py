"""Five guarded services that send mail, each on its real framework and server.

`python guarded_services.py NAME PORT` serves one of them. Environment variables configure the guard.
"""

from __future__ import annotations

import json
import os
import sys
from functools import wraps
from wsgiref.simple_server import WSGIRequestHandler, make_server

from agentgate_oauth import Decision
from agentgate_oauth.service import Guard, default_guard

METADATA = "https://mail.example/.well-known/oauth-protected-resource"


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def serve_wsgi(app, port: int) -> None:
    make_server("127.0.0.1", port, app, handler_class=QuietHandler).serve_forever()


def serve_asgi(app, port: int) -> None:
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


def sent(decision: Decision, recipient: str) -> dict[str, object]:
    return {"userId": decision.user_id, "recipient": recipient, "auditId": decision.audit_id}


def recipient_of(request) -> dict[str, object]:
    return {"recipient": json.loads(request.body)["recipient"]}


def configure_django() -> None:
    import django
    from django.conf import settings

    guard = {
        "base_url": os.environ["AGENTGATE_URL"],
        "resource_server_id": os.environ["AGENTGATE_RESOURCE_SERVER_ID"],
        "resource_server_secret": os.environ["AGENTGATE_RESOURCE_SERVER_SECRET"],
        "resource_metadata": METADATA,
    }
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="only for this test's service",
        AGENTGATE=guard,
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
        INSTALLED_APPS=["rest_framework"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        STATIC_URL="/static/",
    )
    django.setup()


def serve_django(port: int) -> None:
    configure_django()
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import JsonResponse
    from django.urls import path
    from django.utils.decorators import method_decorator
    from django.views import View

    from agentgate_oauth.integrations.django import require_scopes

    @require_scopes("email:send", context=recipient_of)
    def send(request):
        return JsonResponse(sent(request.agentgate, json.loads(request.body)["recipient"]))

    @require_scopes("email:send", context=recipient_of)
    async def send_async(request):
        return JsonResponse(sent(request.agentgate, json.loads(request.body)["recipient"]))

    def passed_on(view):
        @wraps(view)
        def decorated(*args, **kwargs):
            return view(*args, **kwargs)

        return decorated

    guard = require_scopes("email:send", context=recipient_of)

    @method_decorator([passed_on, guard, passed_on], name="dispatch")
    class Send(View):
        def post(self, request):
            return JsonResponse(sent(request.agentgate, json.loads(request.body)["recipient"]))

    @method_decorator([passed_on, guard, passed_on], name="dispatch")
    class SendAsync(View):
        async def post(self, request):
            return JsonResponse(sent(request.agentgate, json.loads(request.body)["recipient"]))

    class SendByMethod(View):
        @method_decorator(guard)
        async def post(self, request):
            return JsonResponse(sent(request.agentgate, json.loads(request.body)["recipient"]))

    sys.modules[__name__].urlpatterns = [
        path("send", send),
        path("send-async", send_async),
        path("class", Send.as_view()),
        path("class-async", SendAsync.as_view()),
        path("class-async-method", SendByMethod.as_view()),
        path("class-async-view", guard(SendByMethod.as_view())),
    ]
    serve_wsgi(WSGIHandler(), port)


def serve_drf(port: int) -> None:
    configure_django()
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path
    from rest_framework import serializers
    from rest_framework.generics import GenericAPIView
    from rest_framework.response import Response
    from rest_framework.schemas.openapi import SchemaGenerator
    from rest_framework.views import APIView

    from agentgate_oauth.integrations.drf import require_scopes

    class Send(APIView):
        permission_classes = [
            require_scopes("email:send", context=lambda request: {"recipient": request.data["recipient"]})
        ]

        def post(self, request):
            return Response(sent(request.agentgate, request.data["recipient"]))

    class Mail(serializers.Serializer):
        recipient = serializers.CharField()

    class Mails(GenericAPIView):
        """Shows a form for each method that the caller may use."""

        permission_classes = [require_scopes("email:send", action=lambda request: request.method.lower())]
        serializer_class = Mail

        def get(self, request):
            return Response(sent(request.agentgate, "a@example.com"))

        post = put = delete = get

    class Described(APIView):
        """Asks the permission class of every view about a clone of this request, as the schemas of DRF do."""

        permission_classes = [require_scopes("email:send", action="describe")]

        def get(self, request):
            schema = SchemaGenerator(title="Mail").get_schema(request=request)
            return Response(sorted(schema["paths"]))

    class Forwarding(APIView):
        """Lets another view answer about each recipient."""

        def get(self, request):
            answers = [one(request._request, recipient=name) for name in ("a", "b", "a")]
            return Response([answer.status_code for answer in answers])

    class One(APIView):
        permission_classes = [
            require_scopes("email:send", action=lambda request: request.parser_context["kwargs"]["recipient"])
        ]

        def get(self, request, recipient):
            return Response()

    one = One.as_view()
    sys.modules[__name__].urlpatterns = [
        path("send", Send.as_view()),
        path("mails", Mails.as_view()),
        path("described", Described.as_view()),
        path("forwarding", Forwarding.as_view()),
    ]
    serve_wsgi(WSGIHandler(), port)


def serve_flask(port: int) -> None:
    from flask import Flask, g, request

    from agentgate_oauth.integrations.flask import require_scopes

    app = Flask(__name__)

    @app.post("/send")
    @require_scopes("email:send", context=lambda request: {"recipient": request.json["recipient"]})
    def send():
        return sent(g.agentgate, request.json["recipient"])

    serve_wsgi(app, port)


def serve_fastapi(port: int) -> None:
    import fastapi

    from agentgate_oauth.integrations.fastapi import require_scopes

    app = fastapi.FastAPI()

    async def details(request: fastapi.Request):
        return {"recipient": (await request.json())["recipient"]}

    may_send = fastapi.Depends(require_scopes("email:send", context=details))

    @app.post("/send")
    async def send(body: dict, decision: Decision = may_send):
        return sent(decision, body["recipient"])

    serve_asgi(app, port)


def serve_fastmcp(port: int) -> None:
    from fastmcp import FastMCP

    from agentgate_oauth.integrations.fastmcp import AgentGateTokenVerifier, current_decision, require_scopes

    introspection = Guard(
        os.environ["AGENTGATE_URL"],
        os.environ["AGENTGATE_RESOURCE_SERVER_ID"],
        os.environ["AGENTGATE_RESOURCE_SERVER_SECRET"],
        mode="introspect",
    )
    mcp = FastMCP("mail", auth=AgentGateTokenVerifier(introspection))

    @mcp.tool
    @require_scopes("email:send", context=lambda arguments: {"recipient": arguments["recipient"]})
    def send(recipient: str) -> dict:
        return sent(current_decision(), recipient)

    serve_asgi(mcp.http_app(stateless_http=True, json_response=True), port)


SERVICES = {
    "django": serve_django,
    "drf": serve_drf,
    "flask": serve_flask,
    "fastapi": serve_fastapi,
    "fastmcp": serve_fastmcp,
}

if __name__ == "__main__":
    os.environ["AGENTGATE_RESOURCE_METADATA"] = METADATA
    default_guard()
    SERVICES[sys.argv[1]](int(sys.argv[2]))
