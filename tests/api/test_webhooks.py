"""Webhooks through the API: what is shown to whom, the secret that is shown once, deliveries and sending again."""

from typing import Any

import pytest
from django.conf import LazySettings

from core import clock
from developers.models import Developer
from developers.roles import Role
from events import urls
from events.models import Delivery, Webhook
from tests.api.conftest import Api, Json, expect, problem
from tests.constants import PASSWORD
from tests.events.webhooks import queue
from tests.shared import cases
from tests.world import make_member

# An address, so that no name is looked up.
URL = "https://93.184.215.14/in?key=t0ken"


@pytest.fixture
def member(developer: Api) -> Developer:
    return Developer.objects.get()


@pytest.fixture
def webhook(developer: Api) -> Json:
    return expect(201, developer.post("/webhooks", {"url": URL, "types": ["consent.*"]}))


def as_role(member: Developer, role: Role) -> Api:
    other = make_member(member, f"{role}@example.com", role)
    token = expect(200, Api().post("/developers/login", {"email": other.user.email, "password": PASSWORD}))
    return Api(Authorization=f"Bearer {token['sessionToken']}")


def test_a_webhook_is_created_with_a_secret_shown_once(developer: Api, webhook: Json) -> None:
    assert webhook["id"].startswith("whk_")
    assert webhook["secret"].startswith("whsec_")
    shown = expect(200, developer.get(f"/webhooks/{webhook['id']}"))
    assert {**shown, "secret": webhook["secret"]} == webhook
    assert shown == {
        "id": webhook["id"],
        "url": URL,
        "types": ["consent.*"],
        "agentIds": None,
        "enabled": True,
        "disabledReason": None,
        "disabledAt": None,
        "createdAt": webhook["createdAt"],
        "sentUpTo": 0,
        "outstanding": 0,
    }
    assert expect(200, developer.get("/webhooks"))["items"] == [shown]


def test_a_repeated_request_creates_one_webhook_and_shows_its_secret_again(developer: Api) -> None:
    body, key = {"url": URL, "types": ["*"]}, {"Idempotency_Key": "webhook-1"}
    first = expect(201, developer.post("/webhooks", body, **key))
    assert expect(201, developer.post("/webhooks", body, **key)) == first
    assert Webhook.objects.count() == 1


def test_it_shows_it_again_even_if_the_host_is_not_found_any_more(
    developer: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, key = {"url": URL, "types": ["*"]}, {"Idempotency_Key": "webhook-1"}
    first = expect(201, developer.post("/webhooks", body, **key))

    def find(*args: object) -> list[str]:
        raise OSError

    monkeypatch.setattr(urls, "checked_addresses", find)
    assert expect(201, developer.post("/webhooks", body, **key)) == first


@cases(
    ("body", "field"),
    [
        ({"url": "http://93.184.215.14/in"}, "url"),
        ({"url": "https://127.0.0.1/in"}, "url"),
        ({"url": "https://10.0.0.1/in"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "https://[::ffff:127.0.0.1]/in"}, "url"),
        ({"url": 1}, "url"),
        ({"types": []}, "types"),
        ({"types": ["consent.invented"]}, "types"),
        ({"types": "*"}, "types"),
        ({"agentIds": []}, "agentIds"),
        ({"agentIds": ["agt_0"]}, "agentIds"),
        ({"enabled": 1}, "enabled"),
    ],
)
def test_what_is_refused_when_it_is_saved(developer: Api, webhook: Json, body: Json, field: str) -> None:
    for answer in (
        developer.post("/webhooks", {"url": URL, "types": ["*"], **body}),
        developer.patch(f"/webhooks/{webhook['id']}", body),
    ):
        problem(answer, 400, "validation_failed", field)
    assert Webhook.objects.get().url == URL


def test_only_who_may_change_webhooks_sees_more_of_a_url_than_the_host(member: Developer, webhook: Json) -> None:
    """The path or the query of a URL can be a token."""
    assert expect(200, as_role(member, Role.ADMIN).get(f"/webhooks/{webhook['id']}"))["url"] == URL
    for role in (Role.DEVELOPER, Role.AUDITOR):
        reader = as_role(member, role)
        for answer in (reader.get("/webhooks"), reader.get(f"/webhooks/{webhook['id']}")):
            assert b"https://93.184.215.14" in answer.content
            assert b"t0ken" not in answer.content
            assert b"whsec_" not in answer.content


def test_changes_are_shown_and_a_webhook_that_is_switched_off_sends_nothing(developer: Api, webhook: Json) -> None:
    path = f"/webhooks/{webhook['id']}"
    changed = expect(200, developer.patch(path, {"types": ["agent.*"], "enabled": False}))
    assert (changed["types"], changed["enabled"], changed["disabledReason"]) == (["agent.*"], False, "member")
    assert expect(200, developer.patch(path, {})) == changed
    for act, body in (("test", {}), ("replay", {"after": 0})):
        problem(developer.post(f"{path}/{act}", body), 409, "webhook_disabled")
    assert expect(200, developer.patch(path, {"enabled": True}))["disabledReason"] is None
    assert expect(200, developer.post(f"{path}/replay", {"after": 0}))["sentUpTo"] == 0
    assert expect(200, developer.post(f"{path}/test"))["eventId"].startswith("log_")
    for after in (-1, 10_000):
        problem(developer.post(f"{path}/replay", {"after": after}), 400, "validation_failed", "after")
    assert developer.delete(path).status_code == 204
    problem(developer.get(path), 404, "not_found")


def test_a_rotation_shows_the_new_secret_and_until_when_the_former_one_signs(developer: Api, webhook: Json) -> None:
    path = f"/webhooks/{webhook['id']}/rotate-secret"
    rotated = expect(200, developer.post(path, {"overlapSeconds": 60}))
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != webhook["secret"]
    assert rotated["previousSecretExpiresAt"] > clock.rfc3339(clock.now())
    for overlap in (-1, 604_801):
        problem(developer.post(path, {"overlapSeconds": overlap}), 400, "validation_failed", "overlapSeconds")


def test_deliveries_are_listed_by_status_and_one_is_sent_again(developer: Api, member: Developer) -> None:
    webhook = queue(member)
    delivery = webhook.deliveries.get()
    path = f"/webhooks/{webhook.pk}/deliveries"
    (waiting,) = expect(200, developer.get(path))["items"]
    assert waiting == {
        "id": delivery.pk,
        "eventId": delivery.entry_id,
        "number": delivery.number,
        "type": "webhook.created",
        "attempt": 0,
        "status": "retrying",
        "responseStatus": None,
        "responseBody": "",
        "error": None,
        "durationMs": None,
        "nextAttemptAt": clock.rfc3339(delivery.due_at),
        "triedAt": None,
        "createdAt": clock.rfc3339(delivery.created_at),
    }
    now = clock.now()
    ended = {
        "status": "failed",
        "due_at": None,
        "attempt": 10,
        "response_status": 500,
        "response_body": "No.",
        "tried_at": now,
    }
    Delivery.objects.update(**ended, duration_ms=12, error="")
    assert expect(200, developer.get(f"{path}?status=delivered"))["items"] == []
    (failed,) = expect(200, developer.get(f"{path}?status=failed&limit=1"))["items"]
    assert (failed["responseStatus"], failed["responseBody"], failed["durationMs"]) == (500, "No.", 12)
    assert (failed["attempt"], failed["nextAttemptAt"]) == (10, None)
    problem(developer.get(f"{path}?status=lost"), 400, "validation_failed", "status")

    again = expect(200, developer.post(f"{path}/{delivery.pk}/redeliver"))
    assert (again["status"], again["attempt"]) == ("retrying", 0)
    assert expect(200, developer.get(f"/webhooks/{webhook.pk}"))["outstanding"] == 1
    problem(developer.post(f"{path}/dlv_0/redeliver"), 404, "not_found")
    Delivery.objects.update(due_at=None)
    Delivery.objects.bulk_create(
        Delivery(webhook=webhook, leaf_index=one, number=one, due_at=now, created_at=now) for one in range(-100, 0)
    )
    problem(developer.post(f"{path}/{delivery.pk}/redeliver"), 409, "too_many_outstanding")


def test_this_host_can_be_a_receiver_in_development_only(developer: Api, settings: LazySettings) -> None:
    body: dict[str, Any] = {"url": "http://127.0.0.1:8400/in", "types": ["*"]}
    problem(developer.post("/webhooks", body), 400, "validation_failed", "url")
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    assert expect(201, developer.post("/webhooks", body))["url"] == body["url"]
    assert urls.MIN_PORT == 1024
