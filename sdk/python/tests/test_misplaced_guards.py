"""Guards in the wrong place: what frameworks let through is logged, and what they would break works."""

from __future__ import annotations

import asyncio
import functools
import logging
import types
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from fastmcp import Client, FastMCP
from flask import Blueprint, Flask
from starlette.responses import PlainTextResponse
from starlette.testclient import WebSocketDenialResponse

from agentgate_oauth import Decision, RetryPolicy
from agentgate_oauth.integrations import fastapi as for_fastapi
from agentgate_oauth.integrations import fastmcp as for_fastmcp
from agentgate_oauth.integrations import flask as for_flask
from agentgate_oauth.service import Guard

GOOD = {"Authorization": "Bearer good"}
OF_A_MODULE = """
@require_scopes("email:send", guard=guard)
@app.get("/swapped")
def swapped():
    return "served"

@app.get("/right")
@require_scopes("email:send", guard=guard)
def right():
    return "served"
"""


def decide(request: httpx.Request) -> httpx.Response:
    is_good = b'"good"' in request.content
    return httpx.Response(200, json={"allowed": is_good, **({} if is_good else {"reason": "invalid_token"})})


@pytest.fixture
def guard() -> Guard:
    transport = httpx.MockTransport(decide)
    return Guard(
        BASE_URL,
        retry=RetryPolicy(attempts=1),
        http_client=httpx.Client(transport=transport),
        async_http_client=httpx.AsyncClient(transport=transport),
    )


def warnings_in(caplog: Any) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


@pytest.fixture
def app(guard) -> FastAPI:
    """An app whose routes all depend on the guard."""
    app = FastAPI(dependencies=[Depends(for_fastapi.require_scopes("email:send", guard=guard))])

    @app.get("/plain")
    async def plain():
        return {}

    @app.websocket("/socket")
    async def socket(socket: WebSocket):
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    return app


class TestFastAPI:
    def test_an_app_wide_guard_lets_an_allowed_websocket_through(self, app):
        with TestClient(app) as client, client.websocket_connect("/socket", headers=GOOD) as opened:
            assert opened.receive_text() == "hello"
            assert client.get("/plain", headers=GOOD).status_code == 200

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer bad"}])
    def test_it_refuses_the_others_before_they_are_accepted(self, app, headers):
        with (
            TestClient(app) as client,
            pytest.raises(WebSocketDenialResponse) as caught,
            client.websocket_connect("/socket", headers=headers),
        ):
            pass
        assert caught.value.status_code == 401
        assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")

    def test_a_route_of_a_websocket_can_have_the_decision(self, guard):
        app = FastAPI()
        needed = for_fastapi.require_scopes("email:send", guard=guard, resource=lambda asked: asked.url.path)

        @app.websocket("/socket")
        async def socket(
            socket: WebSocket,
            decision: Decision = Depends(needed),  # noqa: B008
        ):
            await socket.accept()
            await socket.send_json({"allowed": decision.allowed})
            await socket.close()

        with TestClient(app) as client, client.websocket_connect("/socket", headers=GOOD) as opened:
            assert opened.receive_json() == {"allowed": True}

    def test_a_mounted_app_is_not_covered_and_the_log_says_so_once(self, app, caplog):
        app.mount("/inner", FastAPI())
        with TestClient(app) as client:
            for _ in range(2):
                client.get("/plain", headers=GOOD)
        assert warnings_in(caplog) == ["The app's require_scopes does not guard /inner: guard it itself"]

    def test_neither_are_hosts_and_routes_of_starlette_also_in_routers(self, app, caplog):
        async def bare(request):
            return PlainTextResponse("served")

        router = APIRouter()
        router.add_route("/in-a-router", bare)
        app.include_router(router)
        app.add_route("/bare", bare)
        app.host("other.example", FastAPI())
        with TestClient(app) as client:
            assert [client.get(path).text for path in ("/bare", "/in-a-router")] == ["served"] * 2
            client.get("/plain", headers=GOOD)
        said = " ".join(warnings_in(caplog))
        unsaid = [served for served in ("/bare:", "/in-a-router:", "other.example:") if served not in said]
        assert unsaid == []
        assert "docs" not in said and "/plain" not in said and "/socket" not in said

    def test_a_guard_of_some_routes_says_nothing_of_mounts(self, guard, caplog):
        app = FastAPI()
        router = APIRouter(dependencies=[Depends(for_fastapi.require_scopes("email:send", guard=guard))])

        @router.get("/plain")
        async def plain():
            return {}

        app.include_router(router)
        app.mount("/inner", FastAPI())
        with TestClient(app) as client:
            assert client.get("/plain", headers=GOOD).status_code == 200
        assert warnings_in(caplog) == []


class TestFlask:
    def test_swapped_decorators_are_reported_when_the_module_is_loaded(self, guard, caplog):
        module = types.ModuleType("service")
        module.__dict__.update(app=Flask("service"), guard=guard, require_scopes=for_flask.require_scopes)
        exec(OF_A_MODULE, module.__dict__)

        assert warnings_in(caplog) == [
            "swapped is served without its guard: put require_scopes below the route"
        ]
        client = module.app.test_client()
        assert (client.get("/swapped").status_code, client.get("/right").status_code) == (200, 401)

    def test_those_of_a_blueprint_are_reported_at_the_first_request(self, guard, caplog):
        app, mail = Flask("service"), Blueprint("mail", "service")

        @for_flask.require_scopes("email:send", guard=guard)
        @mail.get("/swapped")
        def swapped():
            return "served"

        @mail.get("/right")
        @for_flask.require_scopes("email:send", guard=guard)
        def right():
            return "served"

        app.register_blueprint(mail)
        assert warnings_in(caplog) == []
        for path in ("/nowhere", "/right"):
            app.test_client().get(path)
        assert warnings_in(caplog) == [
            "mail.swapped is served without its guard: put require_scopes below the route"
        ]

    def test_another_decorator_in_between_hides_nothing(self, guard, caplog):
        app = Flask("service")

        def timed(view):
            @functools.wraps(view)
            def wrapper():
                return view()

            return wrapper

        @for_flask.require_scopes("email:send", guard=guard)
        @timed
        @app.get("/swapped")
        def swapped():
            return "served"

        assert app.test_client().get("/swapped").status_code == 200
        assert warnings_in(caplog) == [
            "swapped is served without its guard: put require_scopes below the route"
        ]

    def test_guards_on_top_of_each_other_are_not_a_mistake(self, guard, caplog):
        app = Flask("service")

        @app.get("/twice")
        @for_flask.require_scopes("email:send", guard=guard)
        @for_flask.require_scopes("email:read", guard=guard)
        def twice():
            return "served"

        assert app.test_client().get("/twice", headers=GOOD).status_code == 200
        assert warnings_in(caplog) == []


class TestFastMCP:
    def test_swapped_decorators_are_reported_when_the_module_is_loaded(self, guard, caplog):
        mcp = FastMCP("service")

        @for_fastmcp.require_scopes("email:send", guard=guard)
        @mcp.tool
        async def swapped() -> str:
            return "served"

        @mcp.tool
        @for_fastmcp.require_scopes("email:send", guard=guard)
        async def right() -> str:
            return "served"

        assert warnings_in(caplog) == [
            "swapped is served without its guard: put require_scopes below the tool"
        ]

        async def call() -> list[bool]:
            async with Client(mcp) as client:
                called = [await client.call_tool(name, raise_on_error=False) for name in ("swapped", "right")]
            return [each.is_error for each in called]

        assert asyncio.run(call()) == [False, True]
