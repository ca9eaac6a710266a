"""Mistakes in arguments and configuration are reported at once, with the correct form."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL, CLIENT_SECRET

from agentgate_oauth import (
    AgentGateAdmin,
    AgentGateClient,
    AgentGateVerifier,
    AsyncAgentGateClient,
    question,
    rules,
)
from agentgate_oauth.integrations import fastapi, fastmcp, flask
from agentgate_oauth.service import Guard, Requirement, default_guard, defaults


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "http://localhost:8000/api/v1",
            'pass "http://localhost:8000" instead of "http://localhost:8000/api/v1"',
        ),
        ("https://gate.example/oauth/", 'pass "https://gate.example" instead of'),
        ("gate.example", 'must start with its scheme: "https://gate.example"'),
        ("gate.example:8000/api/v1", 'must start with its scheme: "https://gate.example:8000/api/v1"'),
        ("localhost:8000", 'must start with its scheme: "http://localhost:8000"'),
        ("http://gate.example", "must be https"),
        ("https://user:password@gate.example", "must not contain a credential"),
        ("ftp://gate.example", "must be an http or https URL"),
        ("https://gate.example?x=1", "without query or fragment"),
        ("https://", "must be an http or https URL"),
        ("", "base_url is missing"),
        (None, "base_url is missing"),
    ],
)
def test_a_base_url_is_the_server_s_address_only(url: Any, message: str):
    for make in (
        lambda: AgentGateClient(url, "agc_1", CLIENT_SECRET),
        lambda: AgentGateAdmin(url, "ag_1"),
        lambda: AgentGateVerifier(url),
        lambda: Guard(url),
    ):
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            make()
        assert str(caught.value).startswith("base_url")
        assert "password" not in str(caught.value)


def test_a_trailing_slash_is_accepted():
    assert repr(Guard("https://gate.example/")) == "<Guard https://gate.example>"


def make_client(**options: Any) -> AgentGateClient:
    return AgentGateClient(
        **{"base_url": BASE_URL, "client_id": "agc_1", "client_secret": "ags_1", **options}
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: make_client(client_id=None),
            'client_id is missing: pass the client id of the agent ("agc_',
        ),
        (lambda: make_client(client_secret=""), "client_secret is missing"),
        (lambda: AgentGateAdmin(BASE_URL), 'api_key ("ag_...") or session_token ("st_..."): neither is set'),
        (lambda: AgentGateAdmin(BASE_URL, "ag_1", session_token="st_1"), "both are set"),
        (lambda: AgentGateVerifier(BASE_URL, "res_1"), "resource_server_secret is missing"),
        (lambda: Guard(BASE_URL, None, "rs_1"), "resource_server_id is missing"),
    ],
)
def test_a_missing_credential_is_named_by_the_constructor(make: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def refuse(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was called")


OFFLINE = httpx.Client(transport=httpx.MockTransport(refuse))
CLIENT = make_client(http_client=OFFLINE)
ADMIN = AgentGateAdmin(BASE_URL, "ag_1", http_client=OFFLINE)
URIS = ["https://yourapp.com/callback"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CLIENT.request_consent(scopes="email:read", redirect_uri=URIS[0]), "scopes"),
        (lambda: CLIENT.request_consent(scopes=None, redirect_uri=URIS[0]), "scopes"),
        (
            lambda: CLIENT.request_consent(scopes=["a:b"], optional_scopes="a:b", redirect_uri="x:"),
            "optional_scopes",
        ),
        (lambda: CLIENT.authorize_on_loopback(scopes="email:read"), "scopes"),
        (lambda: CLIENT.authorize_on_loopback(scopes=["a:b"], optional_scopes="a:b"), "optional_scopes"),
        (
            lambda: ADMIN.create_agent(name="x", redirect_uris=URIS, allowed_scopes="a:b"),
            "allowed_scopes",
        ),
        (
            lambda: ADMIN.create_agent(name="x", redirect_uris="x:", allowed_scopes=["a:b"]),
            "redirect_uris",
        ),
        (lambda: ADMIN.update_agent("agt_1", allowed_scopes="a:b"), "allowed_scopes"),
        (lambda: ADMIN.update_agent("agt_1", redirect_uris=URIS[0]), "redirect_uris"),
        (
            lambda: ADMIN.create_resource_server(name="x", identifier="https://x", scopes="a:b"),
            "scopes",
        ),
        (lambda: ADMIN.update_resource_server("res_1", scopes="email:read"), "scopes"),
        (lambda: ADMIN.create_policy(name="x", rules={"type": "rate_limit", "config": {}}), "rules"),
        (lambda: ADMIN.update_policy("pol_1", rules=rules.ip_allowlist("10.0.0.0/8")), "rules"),
        (lambda: AgentGateVerifier(BASE_URL).verify("token", "email:read"), "scopes"),
        (lambda: AgentGateVerifier(BASE_URL).verify_batch(question("token", ["email:read"])), "questions"),
        (lambda: question("token", "email:read"), "scopes"),
        (lambda: rules.time_window(allowed_days=1, start_time="09:00", end_time="17:00"), "allowed_days"),
        (lambda: Requirement("email:read"), "scopes"),
        (lambda: fastmcp.AgentGateTokenVerifier(Guard(BASE_URL), "email:read"), "required_scopes"),
    ],
)
def test_a_single_value_instead_of_a_list_is_refused(call: Callable[[], object], message: str):
    with pytest.raises(TypeError, match=rf"^{message} must be a list of .*, such as \["):
        call()


def test_the_error_shows_a_list():
    with pytest.raises(TypeError) as caught:
        CLIENT.request_consent(scopes="email:read", redirect_uri=URIS[0])
    assert str(caught.value) == 'scopes must be a list of scopes, such as ["email:read"]'


async def test_the_asynchronous_version_raises_when_awaited():
    async with AsyncAgentGateClient(BASE_URL, "agc_1", "ags_1") as client:
        with pytest.raises(TypeError, match="scopes must be a list of scopes"):
            await client.request_consent(scopes="email:read", redirect_uri=URIS[0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: flask.require_scopes(["email:read", "email:send"], guard=Guard(BASE_URL)),
        lambda: rules.action_allowlist(["email:read"]),
        lambda: rules.action_blocklist(["email:read"]),
        lambda: rules.ip_allowlist(["10.0.0.0/8"]),
    ],
)
def test_a_list_instead_of_single_values_is_refused(call: Callable[[], object]):
    with pytest.raises(TypeError, match="as a separate argument, not as a list"):
        call()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("URL", "RESOURCE_SERVER_ID", "RESOURCE_SERVER_SECRET", "RESOURCE_SERVER_SECRET_FILE"):
        monkeypatch.delenv(f"AGENTGATE_{name}", raising=False)
    monkeypatch.setattr(defaults, "_configured", [])
    defaults._guard_from_environment.cache_clear()
    yield lambda **values: [monkeypatch.setenv(f"AGENTGATE_{name}", value) for name, value in values.items()]
    defaults._guard_from_environment.cache_clear()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "AGENTGATE_URL is not set"),
        (
            {"URL": "https://gate.example/api/v1"},
            'AGENTGATE_URL must not have a path: pass "https://gate.example"',
        ),
        ({"URL": "gate.example"}, "AGENTGATE_URL must start with its scheme"),
        ({"URL": BASE_URL, "RESOURCE_SERVER_ID": "res_1"}, "AGENTGATE_RESOURCE_SERVER_SECRET is not set"),
        ({"URL": BASE_URL, "RESOURCE_SERVER_SECRET": "rs_1"}, "AGENTGATE_RESOURCE_SERVER_ID is not set"),
        (
            {"URL": BASE_URL, "RESOURCE_SERVER_SECRET_FILE": "/nowhere"},
            "_FILE names a file",
        ),
    ],
)
def test_the_environment_is_read_when_a_handler_is_guarded(environment, values, message):
    environment(**values)
    for make in (default_guard, *(partial_of(module) for module in (flask, fastapi, fastmcp))):
        with pytest.raises((RuntimeError, ValueError), match=re.escape(message)):
            make()


def partial_of(module: Any) -> Callable[[], object]:
    return lambda: module.require_scopes("email:send")


DJANGO = """
import json, sys
from django.conf import settings
settings.configure()
from agentgate_oauth.integrations import django, drf
for given in json.loads(sys.argv[1]):
    settings.AGENTGATE = given
    for module in (django, drf):
        try:
            module.require_scopes("email:send")
        except Exception as error:
            print(error)
"""
DJANGO_SETTINGS = [
    ({"base_url": "https://gate.example/api/v1"}, "settings.AGENTGATE: base_url must not have a path"),
    ({"resource_server_id": "res_1"}, "'base_url'"),
    ({"base_url": BASE_URL, "secret": "rs_1"}, "unexpected keyword argument 'secret'"),
    (None, "AGENTGATE_URL is not set"),
]


def test_djangos_settings_are_read_when_a_view_is_guarded():
    environment = {name: value for name, value in os.environ.items() if "AGENTGATE" not in name}
    environment = {**environment, "PYTHONPATH": str(Path(__file__).parent.parent / "src")}
    command = [sys.executable, "-c", DJANGO, json.dumps([given for given, _ in DJANGO_SETTINGS])]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.splitlines()
    messages = [message for _, message in DJANGO_SETTINGS for _ in ("django", "drf")]
    assert all(message in line for message, line in zip(messages, printed, strict=True)), printed
