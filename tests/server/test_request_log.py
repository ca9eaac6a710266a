"""The line for each request that Django answers."""

import logging
from typing import Any

import pytest
from django.test import Client

from tests.shared import cases


@pytest.fixture
def lines(settings: Any, caplog: pytest.LogCaptureFixture) -> Any:
    """Return a function that requests a path and returns the fields of the lines that were logged for it."""
    settings.LOG_REQUESTS = True
    caplog.set_level(logging.ERROR, "django.request")  # as with LOG_REQUESTS
    caplog.set_level(logging.INFO, "agentgate.requests")

    def request(path: str, method: str = "GET", **headers: str) -> list[dict[str, Any]]:
        caplog.clear()
        Client().generic(method, path, headers=headers)
        return [record.fields for record in caplog.records if record.name == "agentgate.requests"]

    return request


def test_a_request_is_logged_by_its_route_and_not_by_its_path(lines: Any, db: None, caplog: Any) -> None:
    (fields,) = lines("/api/v1/agents/agt_0123?q=ada@example.com", X_Request_Id="trace-12345")

    assert fields.pop("milliseconds") > 0
    assert fields == {"method": "GET", "kind": "api", "route": "/api/v1/agents/<str:agent_id>", "status": 401}
    assert "agt_0123" not in caplog.text
    assert "ada" not in caplog.text


def test_a_path_that_does_not_exist_is_not_shown(lines: Any, db: None) -> None:
    (fields,) = lines("/no/such/path/of-ada", "TRACE" * 10)

    assert fields["route"] == ""
    assert fields["kind"] == "page"
    assert len(fields["method"]) == 16


@cases("path", ["/api/v1/health", "/metrics", "/static/css/tokens.css"])
def test_what_programs_ask_for_all_the_time_is_not_logged(path: str, lines: Any, db: None) -> None:
    assert lines(path) == []


def test_nothing_is_logged_if_it_is_turned_off(lines: Any, db: None, settings: Any) -> None:
    settings.LOG_REQUESTS = False
    assert lines("/scopes") == []
