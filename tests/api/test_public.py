"""What a caller without credentials can read: scopes, health, the OpenAPI document."""

import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError

from api.documentation import known_errors
from api.field_descriptions import DESCRIPTIONS
from audit.entries.packing import pack
from audit.events import Event
from audit.models import WitnessFailure
from audit.sequencing.sequencer import sequence
from core import clock, crypto
from decisions.requests import Reason
from resources.catalogue import catalogue
from tests.api.conftest import Api, expect, problem
from tests.audit.journals import write_body, write_row
from tests.shared import cases

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_catalogue_is_listed(anonymous: Api) -> None:
    scopes = expect(200, anonymous.get("/scopes"))["items"]
    assert [scope["id"] for scope in scopes] == list(catalogue())
    texts = {"id", "category", "riskLevel", "title", "description", "cannot"}
    assert set(scopes[0]) == {*texts, "labels", "reversible", "asks", "covers", "excludes"}


def test_a_category_lists_only_its_scopes(anonymous: Api) -> None:
    scopes = expect(200, anonymous.get("/scopes/email"))["items"]
    assert {scope["category"] for scope in scopes} == {"email"}
    problem(anonymous.get("/scopes/mind"), 404, "not_found")


def test_health_is_ok(anonymous: Api) -> None:
    body = expect(200, anonymous.get("/health"))
    assert (body["status"], body["checks"]) == ("ok", {"database": "ok", "cache": "ok"})
    assert body["version"]
    assert (body["log"], body["reasons"]) == ({"lagSeconds": 0, "damagedRows": 0}, [])


def test_health_says_how_long_the_log_has_waited(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    write_row(1)
    later = clock.now() + timedelta(seconds=90)
    monkeypatch.setattr("audit.condition.clock.now", lambda: later)
    body = expect(200, anonymous.get("/health"))
    assert 89 < body["log"]["lagSeconds"] < 100
    assert (body["status"], body["reasons"]) == ("degraded", ["log_stuck"])


def test_health_is_degraded_while_no_checkpoint_covers_the_log(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    write_row(1)
    monkeypatch.setattr("audit.sequencing.sequencer._sign", lambda *, wait: None)  # the log's key does not open
    sequence()
    later = clock.now() + timedelta(seconds=90)
    monkeypatch.setattr("audit.condition.clock.now", lambda: later)
    body = expect(200, anonymous.get("/health"))
    assert (body["status"], body["reasons"], body["log"]["lagSeconds"]) == ("degraded", ["log_stuck"], 0)


@cases("plain", [b"damaged", b'[9,"from the future"]'], ids=["damaged", "newer"])
def test_health_is_degraded_by_a_damaged_row(anonymous: Api, plain: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    write_body(crypto.seal("audit-journal", pack(plain)))
    write_row(1)
    sequence()
    later = clock.now() + timedelta(seconds=90)
    monkeypatch.setattr("audit.condition.clock.now", lambda: later)
    monkeypatch.setattr("audit.condition._uncovered_seconds", lambda: 0.0)
    health = expect(200, anonymous.get("/health"))
    assert (health["status"], health["reasons"]) == ("degraded", ["log_damaged"])
    assert health["log"] == {"lagSeconds": 0, "damagedRows": 1}


@cases(("is_refusal", "status"), [(True, "degraded"), (False, "ok")])
def test_health_is_degraded_by_a_witness_that_refuses(
    anonymous: Api, is_refusal: bool, status: str, settings: Any
) -> None:
    settings.AUDIT_WITNESSES = ["https://witness.example#key"]
    values = {"witness": "https://witness.example", "reason": "HTTP status 422", "since": clock.now()}
    WitnessFailure.objects.create(is_refusal=is_refusal, **values)
    body = expect(200, anonymous.get("/health"))
    assert (body["status"], body["reasons"]) == (status, ["witness_refuses"] if is_refusal else [])


def test_health_is_unavailable_if_nothing_can_be_written(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*bodies: bytes) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr("audit.services._probed_at", float("-inf"))
    monkeypatch.setattr("audit.services._insert", fail)
    assert expect(503, anonymous.get("/health"))["status"] == "unavailable"


def test_health_is_ok_without_the_cache(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "get", lambda name: None)
    assert expect(200, anonymous.get("/health"))["checks"] == {"database": "ok", "cache": "unavailable"}


def test_health_is_unavailable_without_the_database(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> bool:
        raise OperationalError("connection refused")

    monkeypatch.setattr("django.db.models.query.QuerySet.exists", fail)
    answer = anonymous.get("/health")
    body = expect(503, answer)
    assert (body["status"], body["checks"]["database"]) == ("unavailable", "unavailable")
    assert answer["Retry-After"] == "1"


def test_the_served_document_equals_the_file(anonymous: Api) -> None:
    answer = anonymous.get("/openapi.json")
    assert answer["Content-Type"] == "application/json"
    assert expect(200, answer) == json.loads(DOCUMENT.read_text())


def test_the_document_lists_every_code_event_and_reason() -> None:
    words = json.loads(DOCUMENT.read_text())["info"]["description"]
    for value in [*(error.code for error in known_errors()), *(each.value for each in (*Event, *Reason))]:
        assert f"`{value}`" in words


def test_every_error_has_its_own_remedy(anonymous: Api) -> None:
    page = unescape(anonymous.client.get("/api/docs/errors").content.decode())
    for error in known_errors():
        assert vars(error)["remedy"].endswith("."), error
        assert error.title in page, error
        assert error.remedy in page, error


def test_each_description_of_a_field_says_more_than_its_name() -> None:
    known = {name: {*re.findall("[a-z]+", re.sub("([A-Z])", r" \1", name).lower())} for name in DESCRIPTIONS}
    said = {name: {*re.findall(r"\w+", text.lower())} - {"the", "a", "an"} for name, text in DESCRIPTIONS.items()}
    assert [name for name in DESCRIPTIONS if said[name] <= known[name]] == []


def test_each_description_of_a_field_has_its_field() -> None:
    document = json.loads(DOCUMENT.read_text())
    schemas = document["components"]["schemas"].items()
    fields = {
        name for schema, one in schemas for field in one.get("properties", ()) for name in (field, f"{schema}.{field}")
    }
    operations = [operation for each in document["paths"].values() for operation in each.values()]
    parameters = {part["name"] for each in operations for part in each.get("parameters", ())}
    assert set(DESCRIPTIONS) - fields - parameters == set()


def test_the_path_of_the_documentation_leads_to_its_pages(anonymous: Api) -> None:
    answer = anonymous.client.get("/api/docs")
    assert (answer.status_code, answer["Location"]) == (302, "/docs/api-reference")
    assert anonymous.client.get(answer["Location"]).status_code == 200


@cases("path", ["/health", "/scopes", "/openapi.json"])
def test_every_response_has_its_request_id(anonymous: Api, path: str) -> None:
    assert anonymous.get(path, X_Request_Id="from-the-caller")["X-Request-Id"] == "from-the-caller"


@cases("path", ["/api/docs", "/api/docs/errors"])
@cases("method", ["options", "post"])
def test_the_documentation_can_only_be_read(client: Any, method: str, path: str) -> None:
    assert getattr(client, method)(path).status_code == 405
