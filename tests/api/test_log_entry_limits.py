"""The holder of a token can add entries to the log, but each entry is small and contains no hidden text."""

import json
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from tests.api.conftest import Api, Json, expect, problem, verify
from tests.log import log_entries, log_entry, personal_data
from tests.shared import cases

NOT_ADDRESSES = [
    "1.2.3.4" + " " * 12_000,
    " 1.2.3.4",
    "1.2.3.4\n",
    "fe80::1%eth0",
    "fe80::1%" + "a" * 12_000,
    "fe80::1%\u202efrom our own bank",
]


@cases("ip", NOT_ADDRESSES, ids=lambda ip: ip[:12])
def test_text_around_an_address_is_refused(tokens: Json, ip: str) -> None:
    body = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "context": {"ip": ip}}
    problem(Api().post("/tokens/verify", body), 400, "validation_failed", "context.ip")
    problem(Api().post("/tokens/verify/batch", {"requests": [body]}), 400, "validation_failed", "requests.0.context.ip")
    assert not log_entries(event="token.verify").exists()


@cases(
    ("said", "kept"),
    [("2001:DB8:0:0::1", "2001:db8::1"), ("::ffff:203.0.113.7", "203.0.113.7"), ("203.0.113.7", "203.0.113.7")],
)
def test_an_address_is_stored_in_its_shortest_form(developer: Api, tokens: Json, said: str, kept: str) -> None:
    personal = personal_data(verify(tokens["accessToken"], context={"ip": said})["auditId"])
    assert (personal["ip"], personal["context"]) == (kept, {"ip": kept})
    assert expect(200, developer.get("/audit?limit=1"))["items"][0]["ip"] == kept


def test_the_zone_of_a_forwarded_address_is_not_stored(tokens: Json, settings: Any) -> None:
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = (ip_network("127.0.0.0/8"),)
    headers = {"Authorization": f"Bearer {tokens['accessToken']}", "X-Forwarded-For": "fe80::1%" + "a" * 5000}
    answer = Client().get("/api/v1/forward-auth?scopes=email:read", headers=headers)
    personal = personal_data(answer["X-AgentGate-Decision"])
    assert (personal["ip"], personal["context"]) == ("fe80::1", {"ip": "fe80::1"})


@cases(
    "scope", ["x" * 193, "email", "email:", ":read", "Email:read", "email:read ", "em\u202eail:read", "ab:" + "c" * 60]
)
def test_an_impossible_scope_id_is_refused(tokens: Json, scope: str) -> None:
    question = {"token": tokens["accessToken"], "requiredScopes": ["email:read", scope]}
    problem(Api().post("/tokens/verify", question), 400, "validation_failed", "requiredScopes.1")
    batch = {"requests": [question]}
    problem(Api().post("/tokens/verify/batch", batch), 400, "validation_failed", "requests.0.requiredScopes.1")
    assert not log_entries(event="token.verify").exists()


@cases("scopes", ["email:read email", "x" * 193, "email:read EMAIL:SEND"])
def test_an_impossible_scope_id_is_refused_by_forward_auth(tokens: Json, scopes: str) -> None:
    caller = Api(Authorization=f"Bearer {tokens['accessToken']}")
    problem(caller.get(f"/forward-auth?{urlencode({'scopes': scopes})}"), 400, "validation_failed", "scopes")
    assert not log_entries(event="token.verify").exists()


def test_an_undefined_scope_is_not_granted(tokens: Json) -> None:
    decision = verify(tokens["accessToken"], "zzz:never-heard_of.it:" + "x" * 20)
    assert decision["reason"] == "insufficient_scope"


def test_forward_auth_limits_the_length_of_an_action_like_verify(tokens: Json) -> None:
    caller = Api(Authorization=f"Bearer {tokens['accessToken']}")
    path = "/forward-auth?scopes=email:read&action="
    assert caller.get(path + "x" * 200).status_code == 200
    problem(caller.get(path + "x" * 201), 400, "validation_failed", "action")


def test_the_longest_request_leaves_a_small_entry(tokens: Json) -> None:
    scopes = [f"zz{i:038}:" + "x" * 59 for i in range(100)]
    question = {"action": "\U0001f600" * 200, "resource": "\U0001f600" * 2000, "context": {"text": "x" * 16_000}}
    decision = verify(tokens["accessToken"], *scopes, **question)
    assert decision["missingScopes"] == scopes
    entry = log_entry(decision["auditId"])
    assert entry.content["scopes"] == scopes
    assert entry.content["metadata"]["missingScopes"] == scopes[:10]
    assert len(json.dumps(entry.content, ensure_ascii=False).encode()) < 14_000
    assert len(json.dumps(entry.personal, ensure_ascii=False).encode()) < 14_000


def test_the_document_describes_scope_ids(anonymous: Api) -> None:
    document = json.loads(anonymous.get("/openapi.json").content)
    scopes = document["components"]["schemas"]["VerifyRequestBody"]["properties"]["requiredScopes"]
    assert (scopes["maxItems"], scopes["items"]["maxLength"]) == (100, 100)
    assert scopes["items"]["pattern"] == "^([a-z][a-z0-9-]{1,39}):([a-z][a-z0-9_.:-]{0,58})$"
