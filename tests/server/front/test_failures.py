"""Lines for requests that the front answers with 5xx."""

import logging

import pytest
from django.conf import settings

from core.errors import Forbidden, Unavailable
from server.front import failures as module
from server.front.failures import LINES_PER_SECOND, Failures, refusal

ENGLISH, GERMAN = "The service is temporarily unavailable", "Der Dienst ist vorübergehend nicht verfügbar"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_refusal_with_5xx_has_a_line_with_its_id(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "failures", Failures())  # other tests' refusals may have been too many for lines
    refusal(Forbidden("No."), "/api/v1/x", {"x-request-id": "trace-0001"})
    assert not caplog.records
    refusal(Unavailable("All workers are busy."), "/api/v1/x", {"x-request-id": "trace-0002"})
    (record,) = caplog.records
    assert record.request_id == "trace-0002"
    assert record.getMessage() == "(api) 503"


def test_a_flood_writes_few_lines_and_says_how_many_it_left_out(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    failures = Failures()
    for _ in range(500):
        failures.report("/api/v1/tokens/verify", 503, "trace-0001")
    assert len(caplog.records) == LINES_PER_SECOND

    clock[0] += 1
    failures.report("/api/v1/tokens/verify", 503, "trace-0002")
    assert caplog.messages[LINES_PER_SECOND:] == [
        f"{500 - LINES_PER_SECOND} more requests were answered 5xx",
        "(decision) 503",
    ]
    assert all(record.levelno == logging.ERROR for record in caplog.records)


@pytest.mark.parametrize(
    ("path", "headers", "language", "title"),
    [
        ("/connections", {}, "en", ENGLISH),
        ("/connections", {"accept-language": "de-CH, en"}, "de", GERMAN),
        (
            "/connections",
            {"cookie": f"{settings.LANGUAGE_COOKIE_NAME}=de"},
            "de",
            GERMAN,
        ),
        ("/developer/", {"accept-language": "de"}, "en", ENGLISH),
    ],
)
def test_a_refused_page_is_in_the_words_of_its_reader(
    path: str, headers: dict[str, str], language: str, title: str
) -> None:
    reply = refusal(Unavailable("All workers are busy."), path, {**headers, "x-request-id": "trace-0001"})
    sent = dict(reply.headers)
    assert (reply.status, sent["Retry-After"], sent["X-Request-Id"]) == (503, "1", "trace-0001")
    assert (sent["Content-Type"], sent["Content-Language"]) == ("text/html; charset=utf-8", language)
    assert sent["Cache-Control"] == "no-store"
    assert "default-src" in sent["Content-Security-Policy"]
    assert f"<h1>{title}</h1>" in reply.body.decode()


@pytest.mark.parametrize("path", ["/api/v1/agents", "/oauth/token", "/.well-known/openid-configuration/oauth", ""])
def test_a_refused_program_gets_json(path: str) -> None:
    reply = refusal(Unavailable("All workers are busy."), path, {})
    assert "json" in dict(reply.headers)["Content-Type"]
