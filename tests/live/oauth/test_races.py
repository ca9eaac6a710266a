"""What must hold when codes and tokens are used at the same moment, at the OAuth door."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.live.gate import Agent, Gate, expect, race
from tests.live.oauth.conftest import publish
from tests.live.oauth.door import Door, PublicDoor
from tests.live.server import LiveServer


@pytest.fixture
def gate(shared_server: LiveServer) -> Gate:
    """Four processes, on each store in turn."""
    return Gate(shared_server.url)


@pytest.fixture
def door(gate: Gate) -> Door:
    return Door(gate, gate.agent(gate.developer()))


def outcomes(answers: list[httpx.Response]) -> Counter[str]:
    """Count the answers: "200" or status and error."""
    return Counter(
        "200" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['error']}" for answer in answers
    )


def test_one_of_24_parallel_redemptions_succeeds(gate: Gate, door: Door, shared_server: LiveServer) -> None:
    code = door.code(gate.person())
    families = shared_server.database.count("tokens_tokenfamily")
    tokens = shared_server.database.count("tokens_accesstoken")

    answers = race(24, lambda _: door.redeem(code))

    assert outcomes(answers) == {"200": 1, "400 invalid_grant": 23}
    assert shared_server.database.count("tokens_tokenfamily") == families + 1
    assert shared_server.database.count("tokens_accesstoken") == tokens + 1
    issued = next(answer.json() for answer in answers if answer.status_code == 200)
    assert gate.verify(issued["access_token"])["reason"] == "token_revoked", "a replay ends what was issued"


def test_at_most_one_of_24_parallel_refreshes_succeeds_and_the_family_dies(gate: Gate, door: Door) -> None:
    first = door.tokens(gate.person())

    answers = race(24, lambda _: door.refresh(first["refresh_token"]))

    assert set(outcomes(answers)) <= {"200", "400 invalid_grant"}
    assert outcomes(answers)["200"] <= 1
    for pair in [first, *(answer.json() for answer in answers if answer.status_code == 200)]:
        assert gate.verify(pair["access_token"])["reason"] == "token_revoked"
        assert door.refresh(pair["refresh_token"]).json()["error"] == "invalid_grant"


def test_24_parallel_refreshes_of_a_public_client_all_get_the_one_answer(gate: Gate, shared_server: LiveServer) -> None:
    door = PublicDoor(gate)
    first = door.tokens(gate.person())
    tokens = shared_server.database.count("tokens_refreshtoken")

    answers = race(24, lambda _: door.refresh(first["refresh_token"]))

    assert outcomes(answers) == {"200": 24}
    assert len({answer.content for answer in answers}) == 1
    assert shared_server.database.count("tokens_refreshtoken") == tokens + 1
    second = answers[0].json()
    assert gate.verify(second["access_token"])["allowed"] is True
    third = expect(200, door.refresh(second["refresh_token"]))
    assert door.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert gate.verify(third["access_token"])["reason"] == "token_revoked", "what is older than that is a replay"


def test_a_public_client_s_refreshes_against_a_revocation_leave_nothing_alive(gate: Gate) -> None:
    door = PublicDoor(gate)
    first = door.tokens(gate.person())

    def contest(number: int) -> httpx.Response:
        if number == 0:
            form = {"client_id": door.agent.client_id, "token": first["access_token"]}
            return door.http.post(f"{gate.url}/oauth/revoke", data=form)
        return door.refresh(first["refresh_token"])

    answers = race(12, contest)

    assert answers[0].status_code == 200
    assert set(outcomes(answers[1:])) <= {"200", "400 invalid_grant"}
    for answer in answers[1:]:
        if answer.status_code == 200:
            assert gate.verify(answer.json()["access_token"])["allowed"] is False
            assert door.refresh(answer.json()["refresh_token"]).status_code == 400
    assert door.refresh(first["refresh_token"]).status_code == 400


def test_24_refreshes_with_one_idempotency_key_get_one_answer(gate: Gate, door: Door) -> None:
    first = door.tokens(gate.person())
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    headers = {"Idempotency-Key": "attempt-1"}

    answers = race(24, lambda _: door.http.post(f"{gate.url}/oauth/token", data=form, headers=headers))

    assert outcomes(answers) == {"200": 24}
    assert len({answer.text for answer in answers}) == 1
    assert gate.verify(answers[0].json()["access_token"])["allowed"] is True


def test_the_two_doors_race_for_one_code_and_one_wins(gate: Gate, door: Door) -> None:
    code = door.code(gate.person())

    def redeem(number: int) -> httpx.Response:
        if number % 2:
            return door.redeem(code)
        body = {"code": code, "codeVerifier": door.verifier, **door.agent.credentials}
        return gate.post("/tokens/exchange", body)

    answers = race(24, redeem)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 23}


def test_a_refresh_against_a_revocation_leaves_nothing_alive(gate: Gate, door: Door) -> None:
    first = door.tokens(gate.person())

    def contest(number: int) -> httpx.Response:
        return door.revoke(first["access_token"]) if number == 0 else door.refresh(first["refresh_token"])

    answers = race(8, contest)

    assert answers[0].status_code == 200
    for answer in answers[1:]:
        assert answer.status_code in (200, 400)
        if answer.status_code == 200:
            assert gate.verify(answer.json()["access_token"])["allowed"] is False
            assert door.refresh(answer.json()["refresh_token"]).status_code == 400


def test_both_doors_leave_the_same_trace(gate: Gate, door: Door) -> None:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    by_json = gate.tokens(agent, person)
    by_oauth = Door(gate, agent).tokens(person)

    consents = gate.get("/users/me/consents", **person.headers).json()["items"]
    assert [consent["status"] for consent in consents] == ["approved", "replaced"]
    events = Counter(entry["event"] for entry in gate.entries(developer))
    assert {events[name] for name in ("consent.requested", "consent.approved", "token.issued")} == {2}

    tokens = (by_oauth["access_token"], by_json["accessToken"])
    assert [gate.verify(token)["consentId"] for token in tokens] == [consents[0]["id"]] * 2
    gate.post(f"/users/me/consents/{consents[0]['id']}/revoke", **person.headers)
    assert [gate.verify(token)["reason"] for token in tokens] == ["consent_revoked"] * 2


def test_many_who_bring_a_new_document_at_once_bring_one_client(
    start_server: Callable[..., LiveServer], documents: Path
) -> None:
    document = {
        "client_id": "https://client.example/new.json",
        "client_name": "New",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
    }
    environment = {
        "TEST_CLIENT_DOCUMENTS": str(documents),
        "DJANGO_SETTINGS_MODULE": "tests.live.oauth.with_documents",
    }
    server = start_server(processes=2, **environment)
    publish(documents, document)
    newcomer = Agent("", str(document["client_id"]), "")
    url = Door(Gate(server.url), newcomer).authorization_url(redirect_uri="http://127.0.0.1:5000/callback")

    answers = race(8, lambda _: httpx.get(url, timeout=60))

    # Too many fetches at once are refused with a page; nothing breaks, and a client that asks again is served.
    assert {answer.status_code for answer in answers} <= {303, 503}
    assert httpx.get(url, timeout=60).status_code == 303
    assert server.database.count("agents_agent") == 1
