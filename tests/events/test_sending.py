"""One try: the headers that a receiver checks with the reference library, the body, and what is stored of an answer."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError

from audit.archiving.archived import ArchiveUnavailable
from core import clock, fetching
from core.fetching import TooManyFetches
from core.posting import Answer, Poster
from developers.models import Developer
from events import sending
from events.holding import COLUMNS
from events.models import Delivery
from events.schedule import Outstanding
from events.sending import TARGET_BUSY, Outcome, Target, TargetBusy, headers, render, send
from tests.core.servers import HOST, resolve_to
from tests.core.servers import send as answer_with
from tests.events.webhooks import queue
from tests.shared import cases

SECRETS = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "whsec_YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI="]
OTHER = "whsec_enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6eno="
BODY = '{"id":"log_1","data":{"resource":"Büro"}}'.encode()


def test_the_reference_library_accepts_the_signature_of_each_secret() -> None:
    sent = headers(SECRETS, "log_1", BODY, clock.now())
    for secret in SECRETS:
        Receiver(secret).verify(BODY, sent)
    with pytest.raises(WebhookVerificationError):
        Receiver(OTHER).verify(BODY, sent)
    with pytest.raises(WebhookVerificationError):
        Receiver(SECRETS[0]).verify(BODY.replace(b"log_1", b"log_2"), sent)
    assert sent["webhook-id"] == "log_1"
    assert len(sent["webhook-signature"].split(" ")) == 2


def test_a_later_try_has_its_own_time_and_the_same_id() -> None:
    first, second = (headers(SECRETS, "log_1", BODY, clock.now() + timedelta(seconds=s)) for s in (0, 90))
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 90
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]


def try_once(url: str, admit: Callable[[str], object] = str) -> Outcome:
    async def act() -> Outcome:
        target = Target("whk_1", "org_1", url, SECRETS)
        return await send(Poster(), target, "log_1", BODY, admit)

    return asyncio.run(act())


def test_an_answer_is_kept_as_text(serve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.urls.is_public", lambda address: True)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        Receiver(SECRETS[1]).verify(body, dict(handler.headers))
        answer_with(handler, b"\xff\0ok", 429, Retry_After="9")

    serve(answer)
    outcome = try_once(f"https://{HOST}:{fetching.PORT}/")
    assert outcome[:4] == (429, "\N{REPLACEMENT CHARACTER}" * 2 + "ok", "", "9")
    assert 0 < outcome.duration_ms < 5000
    assert not outcome.is_accepted


@cases(("status", "is_accepted"), [(199, False), (200, True), (299, True), (300, False), (404, False)])
def test_a_status_of_200_to_299_is_accepted(status: int, is_accepted: bool) -> None:
    assert Outcome(status).is_accepted is is_accepted


@cases(
    ("url", "addresses", "error"),
    [
        (f"https://{HOST}/", ["10.0.0.1"], "address_refused"),
        (f"https://{HOST}/", ["127.0.0.1"], "address_refused"),
        ("http://localhost:9/", ["127.0.0.1"], "address_refused"),
        (f"https://{HOST}/", [], "no_address"),
    ],
)
def test_an_error_is_one_word(monkeypatch: pytest.MonkeyPatch, url: str, addresses: list[str], error: str) -> None:
    resolve_to(monkeypatch, *addresses)
    outcome = try_once(url)
    assert (outcome.status, outcome.error, outcome.postponed) == (None, error, None)


@cases("error", [TargetBusy("1.2.3.4"), TooManyFetches()])
def test_a_try_that_must_wait_is_postponed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def post(*args: Any, **kwargs: Any) -> Answer:
        raise error

    monkeypatch.setattr(Poster, "post", post)
    assert try_once(f"https://{HOST}/") == Outcome(postponed=TARGET_BUSY)


def outstanding(developer: Developer) -> Outstanding:
    webhook = queue(developer)
    return Outstanding(*Delivery.objects.filter(webhook=webhook).values_list(*COLUMNS)[0])


def body_of(one: Outstanding, organization_id: str) -> bytes:
    return (render(organization_id, [one])[one.id] or b"").strip()


@pytest.mark.django_db
def test_an_event_is_read_from_the_log_again(developer: Developer) -> None:
    one = outstanding(developer)
    body = body_of(one, developer.organization_id)
    assert one.entry_id.encode() in body
    assert b'"webhook.created"' in body
    assert f'"number":{one.number}'.encode() in body
    assert b"userAgent" not in body


@pytest.mark.django_db
def test_what_the_log_of_the_organization_does_not_have_is_not_rendered(developer: Developer) -> None:
    one = outstanding(developer)
    assert render("org_other", [one]) == {one.id: None}
    assert render(developer.organization_id, [one._replace(entry_id="log_lost")]) == {one.id: None}
    assert render(developer.organization_id, [one._replace(leaf_index=10**6)]) == {one.id: None}


@pytest.mark.django_db
def test_what_the_archive_cannot_give_waits_and_the_rest_does_not(
    developer: Developer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = outstanding(developer)
    archived = one._replace(id="dlv_archived", leaf_index=-1)
    entries_at = sending.entries_at

    def read(indexes: list[int]) -> list[Any]:
        if -1 in indexes:
            raise ArchiveUnavailable
        return entries_at(indexes)

    monkeypatch.setattr(sending, "entries_at", read)
    assert list(render(developer.organization_id, [archived, one])) == [one.id]
