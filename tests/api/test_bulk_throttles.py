"""Requests that need no account are limited by address, and for IPv6 by the wider network as well."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from tests.api.conftest import CALLBACK, SCOPES, Json
from tests.constants import PASSWORD

FORM = "application/x-www-form-urlencoded"
ALLOWED_BY_48 = 4

pytestmark = pytest.mark.django_db

Act = Callable[[str, int], Any]


def post(path: str, body: Json, address: str) -> Any:
    return Client(REMOTE_ADDR=address).post(path, body, content_type="application/json")


@pytest.fixture(params=["register a person", "register a developer", "initiate", "register a client", "push"])
def act(request: pytest.FixtureRequest, agent: Json, settings: Any) -> Act:
    """Return the request to make, a function of an address and a number."""
    settings.THROTTLE_REGISTRATION = settings.THROTTLE_INITIATE = "1/hour"
    person = {"password": PASSWORD, "name": "Ada"}
    consent = {"clientId": agent["clientId"], "requestedScopes": SCOPES, "redirectUri": CALLBACK}
    client = {"client_name": "Stock", "redirect_uris": ["https://stock.example/callback"]}

    def push(address: str, number: int) -> Any:
        form = {"client_id": agent["clientId"], "client_secret": agent["clientSecret"]}
        form |= {"response_type": "code", "redirect_uri": CALLBACK, "scope": "email:read"}
        form |= {"code_challenge": "x" * 43, "code_challenge_method": "S256"}
        return Client(REMOTE_ADDR=address).post("/oauth/par", urlencode(form), content_type=FORM)

    acts: dict[str, Act] = {
        "register a person": lambda ip, n: post("/api/v1/users/register", {**person, "email": f"p{n}@example.com"}, ip),
        "register a developer": lambda ip, n: post(
            "/api/v1/developers/register", {**person, "email": f"d{n}@example.com"}, ip
        ),
        "initiate": lambda ip, n: post("/api/v1/consent/initiate", consent, ip),
        "register a client": lambda ip, n: post("/oauth/register", client, ip),
        "push": push,
    }
    return acts[str(request.param)]


def test_an_ipv6_64_counts_as_one_address(act: Act) -> None:
    assert [act(f"2001:db8:1:2::{number:x}", number).status_code for number in range(2)] == [201, 429]


def test_an_ipv6_48_is_limited_too(act: Act) -> None:
    answers = [act(f"2001:db8:1:{number:x}::1", number) for number in range(6)]
    assert [answer.status_code for answer in answers] == [201] * ALLOWED_BY_48 + [429] * 2
    assert int(answers[-1]["Retry-After"]) > 0
    assert act("2001:db8:2::1", 9).status_code == 201


def test_an_ipv4_address_and_its_mapped_form_count_as_one(act: Act) -> None:
    assert act("192.0.2.1", 1).status_code == 201
    assert act("::ffff:192.0.2.1", 2).status_code == 429
    assert act("192.0.2.2", 3).status_code == 201
