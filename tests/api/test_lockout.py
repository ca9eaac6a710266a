"""Guessing slows down the attacker only. The owner can still use the right password or secret."""

import base64
from itertools import count
from typing import Any

import pytest
from django.test import Client

from limits.models import Counter
from tests.api.conftest import Json, new_agent
from tests.constants import PASSWORD

EMAIL = "ada@example.com"
ATTACKER = "198.51.100.9"
HOME = "203.0.113.7"
ABROAD = "192.0.2.44"
ASK = {"token": "x", "requiredScopes": ["email:read"]}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _account(settings: Any) -> None:
    register = {"email": EMAIL, "password": PASSWORD}
    answer = post("/users/register", register, HOME)
    assert answer.status_code == 201
    settings.THROTTLE_SIGN_IN = "3/minute"
    settings.THROTTLE_CLIENT_AUTH = "3/minute"


def post(path: str, body: Json, address: str, **headers: str) -> Any:
    client = Client(REMOTE_ADDR=address, headers=headers)
    return client.post(f"/api/v1{path}", body, content_type="application/json")


def sign_in(address: str, password: str = PASSWORD, email: str = EMAIL) -> int:
    return int(post("/users/login", {"email": email, "password": password}, address).status_code)


def guess(address: str, times: int = 1) -> list[int]:
    return [sign_in(address, "wrong-password") for _ in range(times)]


def test_guessing_from_one_address_does_not_lock_the_owner_out_elsewhere() -> None:
    assert guess(ATTACKER, 6) == [401] * 3 + [429] * 3
    assert sign_in(ATTACKER) == 429
    assert sign_in(HOME) == 200
    assert sign_in(ABROAD) == 200


def test_guessing_from_many_addresses_is_stopped_by_the_limit_per_account() -> None:
    assert sign_in(HOME) == 200
    answers = [guess(f"198.51.100.{number}")[0] for number in range(40)]
    assert answers == [401] * 30 + [429] * 10
    assert sign_in(ABROAD) == 429
    assert sign_in(HOME) == 200


def test_spreading_guesses_over_one_large_ipv6_network_does_not_lock_the_owner_out() -> None:
    answers = [guess(f"2001:db8:1:{number:x}::1")[0] for number in range(40)]
    assert answers == [401] * 12 + [429] * 28
    assert sign_in(ABROAD) == 200


def test_addresses_of_one_ipv6_64_count_as_one() -> None:
    answers = [guess(f"2001:db8:1:2::{number:x}")[0] for number in range(5)]
    assert answers == [401] * 3 + [429] * 2
    assert sign_in("2001:db8:1:3::1") == 200


def test_a_known_ipv6_address_stays_known_when_its_last_64_bits_change() -> None:
    assert sign_in("2001:db8:1:2::1") == 200
    for number in range(40):
        guess(f"198.51.100.{number}")
    assert sign_in("2001:db8:1:3::1") == 429
    assert sign_in("2001:db8:1:2:a:b:c:d") == 200


def test_the_sign_in_page_has_the_same_limits() -> None:
    def browse(address: str, password: str) -> int:
        form = {"login": EMAIL, "password": password}
        return int(Client(REMOTE_ADDR=address).post("/accounts/login/", form).status_code)

    for _ in range(4):
        browse(ATTACKER, "wrong-password")
    assert browse(ATTACKER, PASSWORD) != 302
    assert browse(HOME, PASSWORD) == 302


def answer_to(email: str, address: str = HOME) -> tuple[int, str, str]:
    """Return the response to a wrong password, without the number of the request."""
    answer = post("/users/login", {"email": email, "password": "wrong-password"}, address)
    return answer.status_code, answer.get("Retry-After", ""), answer.json()["detail"]


def test_an_address_that_is_full_does_not_tell_who_has_signed_in_there() -> None:
    """And the owner still signs in there with the right password."""
    assert sign_in(HOME) == 200
    while answer_to("unknown@example.com")[0] != 429:
        pass

    assert answer_to(EMAIL) == answer_to("another@example.com") == answer_to("unknown@example.com")
    assert sign_in(HOME) == 200
    assert answer_to(EMAIL)[0] == 429


def test_guesses_of_a_known_account_fill_the_address_as_those_of_an_unknown_one_do() -> None:
    assert sign_in(HOME) == 200
    for email, address in ((EMAIL, HOME), ("unknown@example.com", ABROAD)):
        statuses = [answer_to(email, address)[0] for _ in range(3)]
        assert [*statuses, answer_to("another@example.com", address)[0]] == [401, 401, 401, 429]


def test_a_right_password_takes_back_what_was_counted_for_the_address() -> None:
    assert sign_in(HOME) == 200
    for _ in range(4):
        assert sign_in(HOME) == 200
    assert answer_to("unknown@example.com")[0] == 401


class TestSuccessfulSignIns:
    """They are limited because Argon2 is expensive for the right password too."""

    def test_are_limited_by_account(self) -> None:
        answers = [sign_in(f"192.0.2.{number}") for number in range(20)]
        assert answers == [200] * 18 + [429] * 2
        assert sign_in(ABROAD) == 429

    def test_are_limited_by_address(self, settings: Any) -> None:
        settings.THROTTLE_REGISTRATION = "100/hour"
        for number in range(2):
            assert post("/users/register", {"email": f"{number}@example.com", "password": PASSWORD}, HOME)
        answers = [sign_in(ABROAD, email=f"{number % 2}@example.com") for number in range(20)]
        assert answers == [200] * 18 + [429] * 2
        assert sign_in(HOME, email="0@example.com") == 200

    def test_say_when_to_try_again(self) -> None:
        for _ in range(18):
            sign_in(HOME)
        answer = post("/users/login", {"email": EMAIL, "password": PASSWORD}, HOME)
        assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
        assert 0 < int(answer["Retry-After"]) <= 61


def test_invented_names_do_not_fill_the_table_of_counters() -> None:
    """Accounts, clients and resource servers. Once the address has no room, no attempt adds a row."""
    names = count()

    def attempt() -> set[int]:
        name = f"x{next(names)}"
        caller = basic(f"res_{name}", "rs_wrong")
        answers = (
            sign_in(ATTACKER, "wrong-password", f"{name}@example.com"),
            post("/tokens/refresh", {"clientId": name, "clientSecret": "x", "refreshToken": "x"}, ATTACKER).status_code,
            post("/tokens/verify", ASK, ATTACKER, Authorization=caller).status_code,
        )
        return set(answers)

    while attempt() != {429}:
        pass
    before = Counter.objects.count()
    assert [attempt() for _ in range(10)] == [{429}] * 10
    assert Counter.objects.count() == before


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


class TestClientAuthentication:
    def test_an_attackers_guesses_never_stop_the_right_client_secret(self, developer: Any) -> None:
        agent = new_agent(developer)
        body = {"clientId": agent["clientId"], "refreshToken": "x"}
        wrong = {**body, "clientSecret": "ags_wrong"}
        answers = [post("/tokens/refresh", wrong, ATTACKER).status_code for _ in range(5)]
        assert answers == [401] * 3 + [429] * 2
        for number in range(40):
            post("/tokens/refresh", wrong, f"198.51.100.{number}")
        right = {**body, "clientSecret": agent["clientSecret"]}
        assert post("/tokens/refresh", right, HOME).json()["code"] == "invalid_grant"
        assert post("/tokens/refresh", right, ATTACKER).json()["code"] == "invalid_grant"

    def test_an_attackers_guesses_never_stop_the_right_resource_server(self, developer: Any) -> None:
        body = {"name": "Mail", "identifier": "https://mail.example", "scopes": ["email:read"]}
        server = developer.post("/resource-servers", body).json()

        def verify(address: str, secret: str) -> int:
            header = basic(server["id"], secret)
            return int(post("/tokens/verify", ASK, address, Authorization=header).status_code)

        assert [verify(ATTACKER, "rs_wrong") for _ in range(5)] == [401] * 3 + [429] * 2
        for number in range(40):
            verify(f"198.51.100.{number}", "rs_wrong")
        assert verify(HOME, server["secret"]) == 200
        assert verify(ATTACKER, server["secret"]) == 200

    def test_an_attackers_guesses_never_stop_the_right_api_key(self, developer: Any) -> None:
        def agents(address: str, key: str) -> int:
            client = Client(REMOTE_ADDR=address, headers={"X-Api-Key": key})
            return int(client.get("/api/v1/agents").status_code)

        assert {agents(ATTACKER, "ag_wrong") for _ in range(40)} <= {401, 429}
        assert agents(ATTACKER, developer.headers["X-Api-Key"]) == 200
        assert agents(HOME, developer.headers["X-Api-Key"]) == 200
