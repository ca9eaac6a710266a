"""Named client secrets and API keys through the API, and the links and the logo of an agent."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import logos
from core.fetching import Fetched, FetchFailed
from tests.api.conftest import Api, Json, code_for, credentials, expect, new_agent, problem, verify
from tests.pictures import png
from tests.shared import cases

KEYS = "/developers/api-keys"
SHOWN = {"id", "name", "hint", "createdAt", "lastUsedAt", "expiresAt"}
SHOWN_OF_KEY = SHOWN | {"role", "agentIds", "ownedByOrganization", "madeBy"}
LOGO, HOME, PRIVACY = "https://acme.com/logo.png", "https://acme.com/", "https://acme.com/privacy"
ABSENT = {"sec": "sec_019a1b2c3d4e7f8091a2b3c4d5e6f708", "key": "key_019a1b2c3d4e7f8091a2b3c4d5e6f708"}
# The key with its developer and organization. Its first use in ten minutes writes, too.
AUTHENTICATION = 1


@pytest.fixture
def secrets(agent: Json) -> str:
    return f"/agents/{agent['id']}/secrets"


def exchange(agent: Json, ada: Api, secret: str) -> Any:
    return Api().post("/tokens/exchange", {"code": code_for(agent, ada), **credentials(agent), "clientSecret": secret})


def test_a_named_secret_is_created_used_listed_and_revoked(developer: Api, agent: Json, ada: Api, secrets: str) -> None:
    answer = developer.post(secrets, {"name": "production"})
    made = expect(201, answer)
    assert answer["Cache-Control"] == "no-store"
    assert set(made) == SHOWN | {"clientId", "clientSecret"}
    assert (made["name"], made["clientId"], made["lastUsedAt"]) == ("production", agent["clientId"], None)
    expect(200, exchange(agent, ada, made["clientSecret"]))
    shown = expect(200, developer.get(secrets))["items"]
    assert [one["name"] for one in shown] == ["production", ""]
    assert all(set(one) == SHOWN for one in shown)
    assert shown[0]["lastUsedAt"]
    assert shown[0]["hint"] == f"ags_…{made['clientSecret'][-4:]}"
    expect(204, developer.delete(f"{secrets}/{made['id']}"))
    assert [one["name"] for one in expect(200, developer.get(secrets))["items"]] == [""]
    problem(exchange(agent, ada, made["clientSecret"]), 401, "invalid_client")
    expect(200, exchange(agent, ada, agent["clientSecret"]))


def test_without_a_secret_no_token_is_issued_and_issued_ones_stay_valid(
    developer: Api, agent: Json, ada: Api, tokens: Json, secrets: str
) -> None:
    (only,) = expect(200, developer.get(secrets))["items"]
    expect(204, developer.delete(f"{secrets}/{only['id']}"))
    problem(exchange(agent, ada, agent["clientSecret"]), 401, "invalid_client")
    refresh = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    problem(Api().post("/tokens/refresh", refresh), 401, "invalid_client")
    assert verify(tokens["accessToken"])["allowed"]
    made = expect(201, developer.post(secrets, {"name": "production"}))
    expect(200, Api().post("/tokens/refresh", {**refresh, "clientSecret": made["clientSecret"]}))


def test_one_secret_is_rotated_and_the_others_stay(developer: Api, agent: Json, ada: Api, secrets: str) -> None:
    made = expect(201, developer.post(secrets, {"name": "production"}))
    new = expect(200, developer.post(f"{secrets}/{made['id']}/rotate", {"overlapSeconds": 60}))
    assert set(new) == SHOWN | {"clientId", "clientSecret", "previousSecretExpiresAt"}
    assert (new["name"], new["expiresAt"]) == ("production", None)
    for secret in (agent["clientSecret"], made["clientSecret"], new["clientSecret"]):
        expect(200, exchange(agent, ada, secret))


def test_a_named_key_is_created_used_listed_and_revoked(developer: Api) -> None:
    made = expect(201, developer.post(KEYS, {"name": "deployment", "expiresInSeconds": 3600}))
    assert set(made) == SHOWN_OF_KEY | {"apiKey"}
    assert made["expiresAt"]
    own = Api(X_Api_Key=made["apiKey"])
    shown = expect(200, own.get(KEYS))["items"]
    assert [(one["name"], set(one) == SHOWN_OF_KEY, bool(one["lastUsedAt"])) for one in shown] == [
        ("deployment", True, True),
        ("", True, True),
    ]
    expect(204, own.delete(f"{KEYS}/{made['id']}"))
    problem(own.get(KEYS), 401, "not_authenticated")
    expect(200, developer.get(KEYS))


def test_one_key_is_rotated_and_the_others_stay(developer: Api) -> None:
    made = expect(201, developer.post(KEYS, {"name": "deployment"}))
    new = expect(200, developer.post(f"{KEYS}/{made['id']}/rotate"))
    assert set(new) == SHOWN_OF_KEY | {"apiKey", "previousKeyExpiresAt"}
    problem(Api(X_Api_Key=made["apiKey"]).get(KEYS), 401, "not_authenticated")
    for key in (developer, Api(X_Api_Key=new["apiKey"])):
        expect(200, key.get(KEYS))


def test_a_repeated_creation_makes_one_secret(developer: Api, secrets: str) -> None:
    for path in (secrets, KEYS):
        first, again = (developer.post(path, {"name": "x"}, Idempotency_Key="one") for _ in range(2))
        assert expect(201, first) == expect(201, again)
        assert len(expect(200, developer.get(path))["items"]) == 2


@cases("name", ["", " ", 7, None, "x" * 101, "a\u202eb"])
def test_an_invalid_name_is_reported(developer: Api, secrets: str, name: Any) -> None:
    for path in (secrets, KEYS):
        problem(developer.post(path, {"name": name}), 400, "validation_failed", "name")


@cases("seconds", [0, 59, 366 * 86_400 + 1, "60", None])
def test_an_invalid_lifetime_is_reported(developer: Api, seconds: Any) -> None:
    body = {"name": "x", "expiresInSeconds": seconds}
    problem(developer.post(KEYS, body), 400, "validation_failed", "expiresInSeconds")


def test_a_taken_name_and_one_secret_too_many_are_reported(developer: Api, secrets: str) -> None:
    for path in (secrets, KEYS):
        for number in range(9):
            expect(201, developer.post(path, {"name": f"place {number}"}))
        problem(developer.post(path, {"name": "one more"}), 400, "validation_failed", "name")
        expect(204, developer.delete(f"{path}/{expect(200, developer.get(path))['items'][0]['id']}"))
        problem(developer.post(path, {"name": "place 1"}), 400, "validation_failed", "name")


def test_what_is_replaced_and_an_overlap_too_many_are_reported(developer: Api, secrets: str) -> None:
    for path in (secrets, KEYS):
        first = expect(200, developer.get(path))["items"][0]["id"]
        expect(200, developer.post(f"{path}/{first}/rotate", {"overlapSeconds": 60}))
        problem(developer.post(f"{path}/{first}/rotate", {"overlapSeconds": 60}), 409, "already_replaced")
        for number in range(8):
            expect(201, developer.post(path, {"name": f"place {number}"}))
        newest = expect(200, developer.get(path))["items"][0]["id"]
        answer = developer.post(f"{path}/{newest}/rotate", {"overlapSeconds": 60})
        problem(answer, 400, "validation_failed", "overlapSeconds")
        expect(200, developer.post(f"{path}/{newest}/rotate"))


def test_the_key_that_replaces_a_single_one_says_when_it_ends(developer: Api) -> None:
    first = expect(200, developer.get(KEYS))["items"][0]["id"]
    made = expect(201, developer.post(KEYS, {"name": "deployment", "expiresInSeconds": 3600}))
    expect(204, developer.delete(f"{KEYS}/{first}"))
    own = Api(X_Api_Key=made["apiKey"])
    assert expect(200, own.post(f"{KEYS}/rotate"))["expiresAt"] >= made["expiresAt"]


def test_what_another_organization_has_looks_absent(developer: Api, rival: Api, agent: Json, secrets: str) -> None:
    secret, key = (expect(200, developer.get(path))["items"][0]["id"] for path in (secrets, KEYS))
    theirs = f"/agents/{new_agent(rival)['id']}/secrets"
    problem(rival.get(secrets), 404, "not_found")
    problem(rival.post(secrets, {"name": "x"}), 404, "not_found")
    for path in (f"{secrets}/{secret}", f"{theirs}/{secret}", f"{KEYS}/{key}"):
        problem(rival.delete(path), 404, "not_found")
        problem(rival.post(f"{path}/rotate"), 404, "not_found")
    for path in (f"{secrets}/{ABSENT['sec']}", f"{KEYS}/{ABSENT['key']}"):
        problem(developer.delete(path), 404, "not_found")
    assert len(expect(200, developer.get(secrets))["items"]) == len(expect(200, developer.get(KEYS))["items"]) == 1


def test_a_credential_is_required(anonymous: Api, ada: Api, secrets: str) -> None:
    for path in (secrets, KEYS):
        problem(anonymous.get(path), 401, "not_authenticated")
        problem(ada.post(path, {"name": "x"}), 403, "forbidden")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Publish a picture at `LOGO` and nothing elsewhere. Return the addresses that are fetched."""
    fetched: list[str] = []

    def fetch(host: str, path: str, *, max_bytes: int) -> Fetched:
        fetched.append(f"https://{host}{path}")
        if fetched[-1] != LOGO:
            raise FetchFailed("answered with status 404", 404)
        return Fetched(png())

    monkeypatch.setattr(logos, "fetch_file", fetch)
    return fetched


def test_links_and_the_logo_are_set_listed_and_cleared(developer: Api, agent: Json, published: list[str]) -> None:
    path, links = f"/agents/{agent['id']}", {"homepageUrl": HOME, "privacyUrl": PRIVACY, "logoUrl": LOGO}
    changed = expect(200, developer.patch(path, links))
    assert {name: changed[name] for name in links} == links
    assert expect(200, developer.get(path)) == changed
    assert expect(200, developer.get("/agents"))["items"] == [changed]
    expect(200, developer.patch(path, {"logoUrl": LOGO, "name": "Other"}))
    assert published == [LOGO]
    cleared = expect(200, developer.patch(path, dict.fromkeys(links)))
    assert not links.keys() & cleared.keys()


@cases("field", ["homepageUrl", "privacyUrl", "logoUrl"])
@cases("url", ["javascript:alert(1)", "https://127.0.0.1/", 7, "https://x.y/" * 50])
def test_an_address_that_cannot_be_used_is_reported(
    developer: Api, agent: Json, published: list[str], field: str, url: Any
) -> None:
    body = {field: url, "name": "Other"}
    problem(developer.patch(f"/agents/{agent['id']}", body), 400, "validation_failed", field)
    assert expect(200, developer.get(f"/agents/{agent['id']}"))["name"] == agent["name"]
    assert published == []


def test_a_logo_that_cannot_be_fetched_changes_nothing(developer: Api, agent: Json, published: list[str]) -> None:
    body = {"logoUrl": "https://acme.com/absent.png", "homepageUrl": HOME}
    problem(developer.patch(f"/agents/{agent['id']}", body), 400, "validation_failed", "logoUrl")
    assert "homepageUrl" not in expect(200, developer.get(f"/agents/{agent['id']}"))


def statements(api: Api, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        expect(200, api.get(path))
    return len(captured)


def test_lists_take_the_same_statements_for_many_rows(developer: Api, agent: Json, published: list[str]) -> None:
    path = f"/agents/{agent['id']}"
    expect(200, developer.patch(path, {"logoUrl": LOGO}))
    counts = [statements(developer, one) for one in ("/agents", f"{path}/secrets", KEYS)]
    assert counts == [AUTHENTICATION + 2, AUTHENTICATION + 2, AUTHENTICATION + 1]
    expect(200, developer.patch(f"/agents/{new_agent(developer)['id']}", {"logoUrl": LOGO}))
    expect(201, developer.post(f"{path}/secrets", {"name": "x"}))
    expect(201, developer.post(KEYS, {"name": "x"}))
    assert [statements(developer, one) for one in ("/agents", f"{path}/secrets", KEYS)] == counts
