"""Anonymous verify requests are limited by address. Resource servers with their credential are not."""

import base64
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from tests.api.conftest import Api, expect

ASK = {"token": "x", "requiredScopes": ["email:read"]}
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime(2026, 3, 23, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller


def verify(address: str = HERE, **headers: str) -> Any:
    client = Client(REMOTE_ADDR=address, headers=headers)
    return client.post("/api/v1/tokens/verify", ASK, content_type="application/json")


def batch(size: int, address: str = HERE) -> Any:
    body = {"requests": [ASK] * size}
    return Client(REMOTE_ADDR=address).post("/api/v1/tokens/verify/batch", body, content_type="application/json")


def forward(address: str = HERE, **headers: str) -> Any:
    sent = {"Authorization": "Bearer x", **headers}
    return Client(REMOTE_ADDR=address, headers=sent).get("/api/v1/forward-auth?scopes=email:read")


def statuses(answers: Iterable[Any]) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


def test_600_per_minute_pass_and_the_601st_does_not(db: None) -> None:
    assert statuses([batch(100) for _ in range(5)]) == {200: 5}
    assert statuses([verify() for _ in range(100)]) == {200: 100}
    refused = verify()
    assert (refused.status_code, refused["Content-Type"]) == (429, "application/problem+json")
    assert refused.json()["code"] == "throttled"
    assert 60 <= int(refused["Retry-After"]) <= 66
    assert verify(ELSEWHERE).status_code == 200


def test_a_refused_verify_does_not_count_and_the_window_slides(
    db: None, settings: Any, clock: time_machine.Traveller
) -> None:
    settings.THROTTLE_VERIFY = "10/minute"
    assert statuses([verify() for _ in range(15)]) == {200: 10, 429: 5}
    clock.shift(timedelta(seconds=59))
    assert verify().status_code == 429
    clock.shift(timedelta(seconds=int(verify()["Retry-After"])))
    assert statuses([verify() for _ in range(11)]) == {200: 10, 429: 1}


def test_no_minute_contains_more_than_the_limit(db: None, settings: Any, clock: time_machine.Traveller) -> None:
    settings.THROTTLE_VERIFY = "10/minute"
    allowed = []
    for second in range(0, 240, 2):
        clock.shift(timedelta(seconds=2))
        if verify().status_code == 200:
            allowed.append(second)
    assert len(allowed) >= 30
    assert all(beyond - first >= 60 for first, beyond in zip(allowed, allowed[10:], strict=False))


def test_every_request_of_a_batch_counts(db: None, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "100/minute"
    assert batch(60).status_code == 200
    assert batch(41).status_code == 429
    assert batch(40).status_code == 200
    assert verify().status_code == 429


def test_an_anonymous_proxy_is_limited_too(db: None, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "2/minute"
    assert statuses([forward() for _ in range(3)]) == {401: 2, 429: 1}
    assert int(forward()["Retry-After"]) > 0
    assert verify().status_code == 429


def test_a_resource_server_is_not_limited(developer: Api, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "2/minute"
    body = {"name": "Mail", "identifier": "https://mail.example", "scopes": ["email:read"]}
    server = expect(201, developer.post("/resource-servers", body))
    basic = "Basic " + base64.b64encode(f"{server['id']}:{server['secret']}".encode()).decode()
    assert statuses([verify(Authorization=basic) for _ in range(5)]) == {200: 5}
    assert statuses([forward(**{"X-Resource-Server": basic}) for _ in range(5)]) == {401: 5}
    assert statuses([verify() for _ in range(3)]) == {200: 2, 429: 1}


def test_ipv6_counts_by_64_and_by_48(db: None, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "2/minute"
    assert statuses([verify(f"2001:db8:1:2::{number:x}") for number in range(4)]) == {200: 2, 429: 2}
    assert statuses([verify(f"2001:db8:1:{number:x}::1") for number in range(3, 12)]) == {200: 6, 429: 3}
    assert verify("2001:db8:2::1").status_code == 200


def test_an_ipv4_mapped_address_is_that_ipv4_address(db: None, settings: Any) -> None:
    settings.THROTTLE_VERIFY = "1/minute"
    assert [verify(ip).status_code for ip in ("192.0.2.1", "::ffff:192.0.2.1")] == [200, 429]


def test_the_throttle_needs_no_query(db: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        verify()
