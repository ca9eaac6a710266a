"""What works once works once, however many ask at the same moment and whichever process answers."""

from collections import Counter

import httpx

from tests.live.gate import Gate, Json, code_of, expect, race
from tests.live.server import LiveServer


def outcomes(responses: list[httpx.Response]) -> Counter[str]:
    """Count the answers: "200" or the problem's code."""
    return Counter("200" if answer.status_code == 200 else code_of(answer) for answer in responses)


def the_one_success(responses: list[httpx.Response]) -> Json:
    return next(dict(answer.json()) for answer in responses if answer.status_code == 200)


def test_of_100_parallel_exchanges_of_one_code_one_succeeds(gate: Gate, shared_server: LiveServer) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    code = gate.code(agent, person)
    families = shared_server.database.count("tokens_tokenfamily")

    answers = race(100, lambda _: gate.exchange(agent, code))

    assert outcomes(answers) == {"200": 1, "invalid_grant": 99}
    assert shared_server.database.count("tokens_tokenfamily") == families + 1
    tokens = the_one_success(answers)
    assert gate.verify(tokens["accessToken"])["reason"] == "token_revoked", "a replay ends what was issued"
    assert code_of(gate.refresh(agent, tokens["refreshToken"])) == "invalid_grant"


def test_a_replayed_code_ends_what_it_had_issued(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    code = gate.code(agent, person)
    tokens = expect(200, gate.exchange(agent, code))
    renewed = expect(200, gate.refresh(agent, tokens["refreshToken"]))
    assert gate.verify(renewed["accessToken"])["allowed"] is True

    assert code_of(gate.exchange(agent, code)) == "invalid_grant"

    for token in (tokens["accessToken"], renewed["accessToken"]):
        assert gate.verify(token)["reason"] == "token_revoked"
    assert code_of(gate.refresh(agent, renewed["refreshToken"])) == "invalid_grant"


def test_a_foreign_agent_with_the_code_gets_nothing_and_ends_nothing(gate: Gate) -> None:
    developer, person = gate.developer(), gate.person()
    agent, thief = gate.agent(developer), gate.agent(gate.developer())
    code = gate.code(agent, person)

    assert code_of(gate.exchange(thief, code)) == "invalid_grant"
    assert gate.exchange(agent, code).status_code == 200


def test_of_100_parallel_uses_of_a_refresh_token_one_succeeds_and_the_family_dies(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    first = gate.tokens(agent, person)

    answers = race(100, lambda _: gate.refresh(agent, first["refreshToken"]))

    assert set(outcomes(answers)) <= {"200", "invalid_grant"}
    assert outcomes(answers)["200"] <= 1
    pairs = [first, *(answer.json() for answer in answers if answer.status_code == 200)]
    for pair in pairs:
        assert gate.verify(pair["accessToken"])["reason"] == "token_revoked"
        assert code_of(gate.refresh(agent, pair["refreshToken"])) == "invalid_grant"


def test_100_refreshes_with_one_idempotency_key_get_one_answer(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    refresh_token = gate.tokens(agent, person)["refreshToken"]

    answers = race(100, lambda _: gate.refresh(agent, refresh_token, Idempotency_Key="attempt-1"))

    assert outcomes(answers) == {"200": 100}
    assert len({answer.text for answer in answers}) == 1
    assert gate.verify(answers[0].json()["accessToken"])["allowed"] is True


def test_an_idempotency_key_does_not_serve_another_body(gate: Gate) -> None:
    developer = gate.developer()
    body = {"name": "One", "redirectUris": ["https://one.example/cb"], "allowedScopes": ["email:read"]}
    headers = {**developer.headers, "Idempotency_Key": "make-one"}
    made = expect(201, gate.post("/agents", body, **headers))

    assert expect(201, gate.post("/agents", body, **headers)) == made
    other = gate.post("/agents", {**body, "name": "Two"}, **headers)

    assert (other.status_code, code_of(other)) == (409, "idempotency_key_reused")


def test_approving_against_denying_has_one_outcome(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    consent_id = gate.initiate(agent)
    verbs = ("approve", "deny")

    answers = race(40, lambda number: gate.post(f"/consent/{consent_id}/{verbs[number % 2]}", **person.headers))

    assert outcomes(answers) == {"200": 1, "consent_already_decided": 39}
    outcome = the_one_success(answers)["status"]
    seen = expect(200, gate.get("/users/me/consents", **person.headers))["items"]
    assert [item["status"] for item in seen if item["id"] == consent_id] == [outcome]


def test_parallel_approvals_of_as_many_requests_leave_one_live_consent(gate: Gate) -> None:
    agent, person = gate.agent(gate.developer()), gate.person()
    first = gate.tokens(agent, person, ("email:read",))
    pending = [gate.initiate(agent, (("email:send", "calendar:read")[number % 2],)) for number in range(16)]

    answers = race(16, lambda number: gate.post(f"/consent/{pending[number]}/approve", **person.headers))

    assert outcomes(answers) == {"200": 16}
    seen = expect(200, gate.get("/users/me/consents", **person.headers))["items"]
    live = [item for item in seen if item["status"] == "approved"]
    assert Counter(item["status"] for item in seen) == {"approved": 1, "replaced": 16}
    assert sorted(live[0]["grantedScopes"]) == ["calendar:read", "email:read", "email:send"]
    tokens = [expect(200, gate.exchange(agent, answer.json()["code"])) for answer in answers]
    assert {one["consentId"] for one in tokens} == {live[0]["id"]}
    assert gate.verify(first["accessToken"])["consentId"] == live[0]["id"]
    expect(200, gate.post(f"/users/me/consents/{live[0]['id']}/revoke", **person.headers))
    for token in (first, *tokens):
        assert gate.verify(token["accessToken"])["reason"] == "consent_revoked"


def test_refresh_against_revoke_leaves_nothing_alive(gate: Gate) -> None:
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
