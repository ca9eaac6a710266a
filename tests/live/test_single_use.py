"""Codes, refresh tokens and decisions can be used once, even by parallel requests to several processes."""

from collections import Counter

import httpx
import pytest

from tests.live.gate import Gate, Json, code_of, expect, race
from tests.live.server import LiveServer

pytestmark = pytest.mark.usefixtures("decides_directly")


def outcomes(responses: list[httpx.Response]) -> Counter[str]:
    """Count the responses by "200" or the code of the problem."""
    return Counter("200" if answer.status_code == 200 else code_of(answer) for answer in responses)


def only_success(responses: list[httpx.Response]) -> Json:
    return next(dict(answer.json()) for answer in responses if answer.status_code == 200)


def test_one_of_24_parallel_exchanges_of_a_code_succeeds(gate: Gate, shared_server: LiveServer) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    code = gate.code(agent, person)
    families = shared_server.database.count("tokens_tokenfamily")

    answers = race(24, lambda _: gate.exchange(agent, code))

    assert outcomes(answers) == {"200": 1, "invalid_grant": 23}
    assert shared_server.database.count("tokens_tokenfamily") == families + 1
    tokens = only_success(answers)
    assert gate.verify(tokens["accessToken"])["reason"] == "token_revoked", "a replay ends what was issued"
    assert code_of(gate.refresh(agent, tokens["refreshToken"])) == "invalid_grant"


def test_replaying_a_code_ends_the_tokens_issued_for_it(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    code = gate.code(agent, person)
    tokens = expect(200, gate.exchange(agent, code))
    renewed = expect(200, gate.refresh(agent, tokens["refreshToken"]))
    assert gate.verify(renewed["accessToken"])["allowed"] is True

    assert code_of(gate.exchange(agent, code)) == "invalid_grant"

    for token in (tokens["accessToken"], renewed["accessToken"]):
        assert gate.verify(token)["reason"] == "token_revoked"
    assert code_of(gate.refresh(agent, renewed["refreshToken"])) == "invalid_grant"


def test_another_agent_with_the_code_gets_nothing_and_ends_nothing(gate: Gate) -> None:
    developer, person = gate.developer(), gate.person()
    agent, thief = gate.agent(developer), gate.agent(gate.developer())
    code = gate.code(agent, person)

    assert code_of(gate.exchange(thief, code)) == "invalid_grant"
    assert gate.exchange(agent, code).status_code == 200


def test_at_most_one_of_24_parallel_refreshes_succeeds_and_the_family_ends(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    first = gate.tokens(agent, person)

    answers = race(24, lambda _: gate.refresh(agent, first["refreshToken"]))

    assert set(outcomes(answers)) <= {"200", "invalid_grant"}
    assert outcomes(answers)["200"] <= 1
    pairs = [first, *(answer.json() for answer in answers if answer.status_code == 200)]
    for pair in pairs:
        assert gate.verify(pair["accessToken"])["reason"] == "token_revoked"
        assert code_of(gate.refresh(agent, pair["refreshToken"])) == "invalid_grant"


def test_24_refreshes_with_the_same_idempotency_key_get_the_same_response(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    refresh_token = gate.tokens(agent, person)["refreshToken"]

    answers = race(24, lambda _: gate.refresh(agent, refresh_token, Idempotency_Key="attempt-1"))

    assert outcomes(answers) == {"200": 24}
    assert len({answer.text for answer in answers}) == 1
    assert gate.verify(answers[0].json()["accessToken"])["allowed"] is True


def test_an_idempotency_key_cannot_be_reused_for_another_body(gate: Gate) -> None:
    developer = gate.developer()
    body = {"name": "One", "redirectUris": ["https://one.example/cb"], "allowedScopes": ["email:read"]}
    headers = {**developer.headers, "Idempotency_Key": "make-one"}
    made = expect(201, gate.post("/agents", body, **headers))

    assert expect(201, gate.post("/agents", body, **headers)) == made
    other = gate.post("/agents", {**body, "name": "Two"}, **headers)

    assert (other.status_code, code_of(other)) == (409, "idempotency_key_reused")


def test_parallel_approvals_and_denials_have_one_outcome(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    consent_id = gate.initiate(agent)
    verbs = ("approve", "deny")

    answers = race(24, lambda number: gate.post(f"/consent/{consent_id}/{verbs[number % 2]}", **person.headers))

    assert outcomes(answers) == {"200": 1, "consent_already_decided": 23}
    outcome = only_success(answers)["status"]
    seen = expect(200, gate.get("/users/me/consents", **person.headers))["items"]
    assert [item["status"] for item in seen if item["id"] == consent_id] == [outcome]


def test_parallel_approvals_of_many_requests_leave_one_live_consent(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    first = gate.tokens(agent, person, ("email:read",))
    pending = [gate.initiate(agent, (("email:send", "calendar:read")[number % 2],)) for number in range(8)]

    answers = race(8, lambda number: gate.post(f"/consent/{pending[number]}/approve", **person.headers))

    assert outcomes(answers) == {"200": 8}
    seen = expect(200, gate.get("/users/me/consents", **person.headers))["items"]
    live = [item for item in seen if item["status"] == "approved"]
    assert Counter(item["status"] for item in seen) == {"approved": 1, "replaced": 8}
    assert sorted(live[0]["grantedScopes"]) == ["calendar:read", "email:read", "email:send"]
    tokens = [expect(200, gate.exchange(agent, answer.json()["code"])) for answer in answers]
    assert {one["consentId"] for one in tokens} == {live[0]["id"]}
    assert gate.verify(first["accessToken"])["consentId"] == live[0]["id"]
    expect(200, gate.post(f"/users/me/consents/{live[0]['id']}/revoke", **person.headers))
    for token in (first, *tokens):
        assert gate.verify(token["accessToken"])["reason"] == "consent_revoked"


def test_refreshing_during_a_revocation_leaves_no_live_token(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    first = gate.tokens(agent, person)

    def contest(number: int) -> httpx.Response:
        if number == 0:
            return gate.post("/tokens/revoke", {"token": first["accessToken"], **agent.credentials})
        return gate.refresh(agent, first["refreshToken"], Idempotency_Key="the-one")

    answers = race(8, contest)

    assert answers[0].status_code == 200
    assert set(outcomes(answers)) <= {"200", "invalid_grant"}
    for answer in answers[1:]:
        if answer.status_code == 200:
            assert gate.verify(answer.json()["accessToken"])["allowed"] is False
            assert code_of(gate.refresh(agent, answer.json()["refreshToken"])) == "invalid_grant"
