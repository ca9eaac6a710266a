"""A policy's actions must be existing scopes: a blocklist with a typing error would block nothing."""

from difflib import get_close_matches
from typing import Any

import pytest

from resources.actions import action_titles
from tests.api.conftest import Api, Json, expect, problem
from tests.shared import cases

SERVER = {
    "name": "Tickets",
    "identifier": "https://tickets.example",
    "scopes": [
        {
            "id": "tickets:read",
            "riskLevel": "low",
            "title": "see tickets",
            "description": "Read tickets.",
            "cannot": "Change them.",
        }
    ],
}


def rules(*actions: str, kind: str = "action_allowlist") -> list[Json]:
    limit = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 60, "scope": "global"}}
    return [limit, {"type": kind, "config": {"actions": list(actions)}}]


def create(api: Api, *actions: str, **more: Any) -> Any:
    return api.post("/policies", {"name": "P", "rules": rules(*actions, **more)})


@cases("kind", ["action_allowlist", "action_blocklist"])
@cases(
    ("wrong", "nearest"),
    [
        ("emial:send", "email:send"),
        ("email:sent", "email:send"),
        ("Email:send", "email:send"),
        ("payment:*", "payments:*"),
        ("github:pull:*", "github:pr:*"),
    ],
)
def test_the_nearest_known_action_is_suggested(developer: Api, kind: str, wrong: str, nearest: str) -> None:
    answer = problem(
        create(developer, "email:read", wrong, kind=kind), 400, "validation_failed", "rules.1.config.actions.1"
    )
    message = answer["errors"][0]["message"]
    assert f'"{wrong}"' in message
    assert f'Did you mean "{nearest}"?' in message


def test_without_a_similar_action_the_error_says_where_to_find_them(developer: Api) -> None:
    answer = problem(create(developer, "zzzzzzzz", "x" * 200), 400, "validation_failed", *_fields(0, 1))
    assert "/api/v1/scopes" in answer["errors"][0]["message"]


@cases("known", ["email:send", "payments:*", "github:pr:*", "email:re*", "*"])
def test_scopes_of_the_catalogue_and_their_prefixes_are_accepted(developer: Api, known: str) -> None:
    expect(201, create(developer, known))


def test_an_organizations_own_scopes_are_accepted_from_it_alone(developer: Api, rival: Api) -> None:
    problem(create(developer, "tickets:read", "tickets:*"), 400, "validation_failed", *_fields(0, 1))
    expect(201, developer.post("/resource-servers", SERVER))
    expect(201, create(developer, "tickets:read", "tickets:*"))
    answer = problem(create(developer, "ticket:read"), 400, "validation_failed", *_fields(0))
    assert 'Did you mean "tickets:read"?' in answer["errors"][0]["message"]
    answer = problem(create(rival, "tickets:read", "tickets:*"), 400, "validation_failed", *_fields(0, 1))
    assert "tickets" not in answer["errors"][0]["message"].partition("Did you mean")[2]


def test_an_update_is_checked_like_a_new_policy(developer: Api) -> None:
    path = f"/policies/{expect(201, create(developer, 'email:read'))['id']}"
    problem(developer.patch(path, {"rules": rules("email:raed")}), 400, "validation_failed", *_fields(0))
    expect(200, developer.patch(path, {"rules": rules("email:send")}))
    expect(200, developer.patch(path, {"name": "Q"}))


def _fields(*places: int) -> list[str]:
    return [f"rules.1.config.actions.{place}" for place in places]


@cases(("wrong", "nearest"), [("EMAIL:READ", "email:read"), ("Email:*", "email:*"), ("TICKETS:READ", "tickets:read")])
def test_suggestions_ignore_case(developer: Api, wrong: str, nearest: str) -> None:
    expect(201, developer.post("/resource-servers", SERVER))
    answer = problem(create(developer, wrong), 400, "validation_failed", *_fields(0))
    assert f'Did you mean "{nearest}"?' in answer["errors"][0]["message"]


def test_only_the_first_of_many_errors_are_reported(developer: Api) -> None:
    many = [{"type": "action_blocklist", "config": {"actions": [f"email:raed{n}" for n in range(200)]}}] * 20
    answer = problem(developer.post("/policies", {"name": "P", "rules": many}), 400, "validation_failed", *_first(20))
    assert "Only the first 20 errors" in answer["detail"]


def test_only_the_first_of_many_values_of_the_wrong_type_are_reported(developer: Api) -> None:
    many = [{"type": "action_blocklist", "config": {"actions": [1] * 200}}] * 20
    answer = problem(developer.post("/policies", {"name": "P", "rules": many}), 400, "validation_failed", *_first(20))
    assert "Only the first 20 errors" in answer["detail"]


def test_many_unknown_actions_are_compared_with_few_scopes(developer: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def count(word: str, possibilities: list[str], **more: Any) -> list[str]:
        compared.append(len(possibilities))
        return get_close_matches(word, possibilities, **more)

    monkeypatch.setattr("core.text.get_close_matches", count)
    own = [{**SERVER["scopes"][0], "id": f"tickets:n{n}"} for n in range(100)]
    expect(201, developer.post("/resource-servers", {**SERVER, "scopes": own}))
    problem(create(developer, *(f"tickets:x{n}" for n in range(200))), 400, "validation_failed", *_fields(*range(20)))
    assert (len(compared), max(compared)) == (20, len(action_titles()) + 100)


def _first(number: int) -> list[str]:
    return [f"rules.0.config.actions.{place}" for place in range(number)]
