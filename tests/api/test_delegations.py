"""Delegations through HTTP: an agent hands work over, the other accepts, and people list and end it."""

from typing import Any

import pytest

from developers.models import ApiKey, Organization
from tests.api.conftest import Api, Json, credentials, expect, new_agent, new_developer, problem, verify
from tests.constants import basic
from tests.world import let_delegate
from tokens.models import Delegation

RATE = {"type": "rate_limit", "config": {"maxRequests": 5, "windowSeconds": 3600, "scope": "per_user"}}
ONLY = {
    "type": "context_match",
    "config": {"conditions": [{"field": "recipient", "operator": "exists", "value": False}]},
}
SPEND = {
    "type": "spend_limit",
    "config": {"maxAmount": "100.00", "currency": "EUR", "windowSeconds": 3600, "scope": "per_user"},
}


@pytest.fixture(scope="module")
def second(developer: Api) -> Json:
    return new_agent(developer, name="Summarizer")


@pytest.fixture(scope="module")
def third(developer: Api) -> Json:
    return new_agent(developer, name="Translator")


@pytest.fixture(scope="module", autouse=True)
def _may_delegate(tokens: Json) -> None:
    let_delegate(tokens["accessToken"])


def create(agent: Json, token: str, to: Json, **fields: Any) -> Any:
    body = {"token": token, "to": to["clientId"], "scopes": ["email:read"], **credentials(agent), **fields}
    headers = {"Idempotency_Key": body.pop("key")} if "key" in body else {}
    return Api().post("/delegations", body, **headers)


def accept(agent: Json, token: str, **headers: str) -> Any:
    return Api().post("/tokens/exchange", {"delegationToken": token, **credentials(agent)}, **headers)


def hand_over(agent: Json, token: str, to: Json, **fields: Any) -> tuple[Json, Json]:
    made = expect(201, create(agent, token, to, **fields))
    return made, expect(200, accept(to, made["delegationToken"]))


@pytest.fixture
def tree(agent: Json, tokens: Json, second: Json, third: Json) -> list[Json]:
    """A delegation and one below it, each as created, and the tokens of the last agent."""
    limits = {"email:read": [RATE, ONLY]}
    first, issued = hand_over(agent, tokens["accessToken"], second, limits=limits, maxDepth=3, task="Digest")
    below, last = hand_over(second, issued["accessToken"], third)
    return [first, below, last]


class TestCreating:
    def test_the_other_agent_accepts_what_is_handed_over(
        self, agent: Json, tokens: Json, second: Json, ada: Any
    ) -> None:
        made = expect(201, create(agent, tokens["accessToken"], second))
        assert set(made) == {"id", "delegationToken", "scopes", "expiresAt"}
        issued = expect(200, accept(second, made["delegationToken"]))
        link = {"agentId": second["id"], "delegationId": made["id"]}
        assert issued["actor"] == link
        assert issued["chain"] == [{"agentId": agent["id"], "delegationId": None}, link]
        assert (issued["delegationId"], issued["userId"], issued["agentId"]) == (made["id"], ada.id, second["id"])
        assert issued["expiresIn"] == 900
        assert 3590 <= issued["refreshExpiresIn"] <= 3600
        assert verify(issued["accessToken"])["chain"] == issued["chain"]
        body = {"refreshToken": issued["refreshToken"], **credentials(second)}
        assert expect(200, Api().post("/tokens/refresh", body))["delegationId"] == made["id"]

    def test_a_short_delegation_has_no_refresh_token(self, agent: Json, tokens: Json, second: Json) -> None:
        issued = hand_over(agent, tokens["accessToken"], second, expiresInSeconds=600)[1]
        assert not {"refreshToken", "refreshExpiresIn"} & set(issued)
        assert 590 <= issued["expiresIn"] <= 600

    def test_a_repeated_request_gets_the_same_answer(self, agent: Json, tokens: Json, second: Json) -> None:
        made = [expect(201, create(agent, tokens["accessToken"], second, key="one")) for _ in range(2)]
        assert made[0] == made[1]
        assert Delegation.objects.count() == 1
        issued = [expect(200, accept(second, made[0]["delegationToken"], Idempotency_Key="one")) for _ in range(2)]
        assert issued[0] == issued[1]

    def test_refusals_name_what_is_wrong(
        self, agent: Json, tokens: Json, second: Json, settings: Any, tree: list[Json]
    ) -> None:
        token = tokens["accessToken"]
        problem(create(agent, "no token", second), 400, "invalid_grant")
        problem(create(agent, token, second, scopes=["files:delete"]), 400, "invalid_scope")
        wrong = {"type": "mailbox", "identifiers": ["a"]}
        problem(create(agent, token, second, targets=[wrong]), 400, "invalid_target", "targets.0.type")
        limits = {"email:read": [{"type": "cedar"}]}
        problem(create(agent, token, second, limits=limits), 400, "validation_failed", "limits.email:read.0.type")
        for field, value in (("maxDepth", 5), ("expiresInSeconds", 86_401), ("task", "x" * 201)):
            problem(create(agent, token, second, **{field: value}), 400, "validation_failed", field)
        problem(create(agent, token, agent), 403, "delegation_not_allowed")
        problem(create({**agent, "clientSecret": "wrong"}, token, second), 401, "invalid_client")
        settings.THROTTLE_DELEGATE = "1/hour"
        expect(201, create(agent, token, second))
        problem(create(agent, token, second), 429, "throttled")

    def test_neither_a_session_nor_a_key_is_an_agent(
        self, developer: Api, ada: Api, tokens: Json, second: Json
    ) -> None:
        body = {"token": tokens["accessToken"], "to": second["clientId"], "scopes": ["email:read"]}
        for caller in (developer, ada):
            problem(caller.post("/delegations", body), 401, "invalid_client")

    def test_the_secret_can_be_sent_as_http_basic(self, agent: Json, tokens: Json, second: Json) -> None:
        client = Api(Authorization=basic(agent["clientId"], agent["clientSecret"]))
        body = {"token": tokens["accessToken"], "to": second["clientId"], "scopes": ["email:read"]}
        expect(201, client.post("/delegations", body))


class TestAccepting:
    def test_another_agent_and_a_second_use_end_nothing(
        self, agent: Json, tokens: Json, second: Json, third: Json
    ) -> None:
        made = expect(201, create(agent, tokens["accessToken"], second))
        problem(accept(third, made["delegationToken"]), 400, "invalid_grant")
        issued = expect(200, accept(second, made["delegationToken"]))
        problem(accept(second, made["delegationToken"]), 400, "invalid_grant")
        assert verify(issued["accessToken"])["allowed"]

    def test_a_code_or_a_delegation_token(self, second: Json) -> None:
        both = {"delegationToken": "dlg_x", "code": "x", **credentials(second)}
        problem(Api().post("/tokens/exchange", both), 400, "validation_failed", "delegationToken")
        problem(Api().post("/tokens/exchange", credentials(second)), 400, "validation_failed", "code")


class TestListing:
    def test_the_developer_and_the_person_see_the_tree(
        self, developer: Api, ada: Api, agent: Json, second: Json, third: Json, tokens: Json, tree: list[Json]
    ) -> None:
        assert verify(tree[2]["accessToken"])["allowed"]
        own = expect(200, ada.get(f"/users/me/consents/{tokens['consentId']}/delegations"))
        assert own == expect(200, developer.get("/delegations"))
        below, first = own["items"]
        assert (first["id"], first["parentId"]) == (tree[0]["id"], None)
        assert (below["id"], below["parentId"]) == (tree[1]["id"], tree[0]["id"])
        assert first["from"] == {"id": agent["id"], "name": "SmartMail"}
        assert first["to"] == below["from"] == {"id": second["id"], "name": "Summarizer"}
        assert first["used"] == [{"scope": "email:read", "index": 0, "requests": 1}]
        assert (below["limits"], below["used"], below["targets"]) == ({}, [], [])
        assert (first["maxDepth"], first["task"], below["task"], first["status"]) == (3, "Digest", "Digest", "active")
        assert first["limits"]["email:read"][0] == RATE

    def test_an_amount_is_shown_with_its_currency_and_what_is_reserved(
        self, developer: Api, agent: Json, tokens: Json, second: Json
    ) -> None:
        issued = hand_over(agent, tokens["accessToken"], second, limits={"email:read": [SPEND]})[1]
        context = {"amount": {"value": "12.50", "currency": "EUR"}}
        assert verify(issued["accessToken"], context=context)["allowed"]
        assert verify(issued["accessToken"], context=context, reserve=True)["allowed"]
        (shown,) = expect(200, developer.get("/delegations"))["items"]
        assert shown["used"] == [{"scope": "email:read", "index": 0, "amount": {"value": "25", "currency": "EUR"}}]

    def test_filters_and_pages(
        self, developer: Api, rival: Api, agent: Json, second: Json, third: Json, tree: list[Json]
    ) -> None:
        def ids(query: str, caller: Api = developer) -> list[str]:
            return [each["id"] for each in expect(200, caller.get(f"/delegations?{query}"))["items"]]

        first, below = tree[0]["id"], tree[1]["id"]
        assert ids("") == ids("direction=given") == ids("direction=received") == [below, first]
        assert ids(f"agentId={agent['id']}") == ids(f"agentId={second['clientId']}&direction=received") == [first]
        assert ids(f"agentId={second['id']}") == [below, first]
        assert ids("", rival) == []
        problem(rival.get(f"/delegations?agentId={agent['id']}"), 404, "not_found")
        page = expect(200, developer.get("/delegations?limit=1"))
        assert ids(f"cursor={page['nextCursor']}") == [first]
        expect(200, developer.post(f"/delegations/{below}/end"))
        assert (ids("status=active"), ids("status=ended")) == ([first], [below])

    def test_a_limited_key_lists_its_agents(self, developer: Api, third: Json, tree: list[Json]) -> None:
        ApiKey.objects.update(agent_ids=[third["id"]])
        assert [each["id"] for each in expect(200, developer.get("/delegations"))["items"]] == [tree[1]["id"]]

    def test_another_user_does_not_see_a_connection(self, bob: Api, tokens: Json) -> None:
        problem(bob.get(f"/users/me/consents/{tokens['consentId']}/delegations"), 404, "not_found")


class TestEnding:
    def end(self, caller: Api, made: Json, body: Json | None = None) -> Any:
        return caller.post(f"/delegations/{made['id']}/end", body)

    @pytest.mark.parametrize("caller", ["person", "developer", "agent", "agent above"])
    def test_those_above_end_it_and_all_below(
        self, developer: Api, ada: Api, agent: Json, second: Json, tree: list[Json], caller: str
    ) -> None:
        first, below, last = tree
        is_agent, ended = caller.startswith("agent"), below if caller == "agent above" else first
        api = {"person": ada, "developer": developer}.get(caller, Api())
        for _ in range(2):
            shown = expect(200, self.end(api, ended, credentials(agent) if is_agent else None))
            assert (shown["id"], shown["status"]) == (ended["id"], "ended")
        assert verify(last["accessToken"])["reason"] == "delegation_ended"
        assert Delegation.objects.exclude(ended_at=None).count() == 1

    def test_the_agent_that_handed_over_ends_it_by_http_basic(self, second: Json, tree: list[Json]) -> None:
        client = Api(Authorization=basic(second["clientId"], second["clientSecret"]))
        assert expect(200, self.end(client, tree[1]))["status"] == "ended"

    def test_for_others_it_does_not_exist(
        self, rival: Api, bob: Api, second: Json, third: Json, tree: list[Json]
    ) -> None:
        first, below, _ = tree
        for caller in (rival, bob):
            problem(self.end(caller, first), 404, "not_found")
        problem(self.end(Api(), first, credentials(second)), 404, "not_found")
        problem(self.end(Api(), below, credentials(third)), 404, "not_found")
        problem(self.end(rival, {"id": "del_none"}), 404, "not_found")
        problem(self.end(Api(), first), 401, "not_authenticated")
        problem(self.end(Api(), first, {**credentials(second), "clientSecret": "x"}), 401, "invalid_client")

    def test_the_developer_of_an_agent_above_ends_what_is_below(
        self, developer: Api, ada: Api, agent: Json, tokens: Json
    ) -> None:
        let_delegate(tokens["accessToken"], "verified")
        other = new_developer("other@example.com")
        stranger, below = new_agent(other, name="Stranger"), new_agent(other, name="Below")
        Organization.objects.filter(agents__id=stranger["id"]).update(is_verified=True)
        limits, targets = {"email:read": [ONLY, RATE]}, [{"type": "account", "identifiers": ["work"]}]
        _, issued = hand_over(agent, tokens["accessToken"], stranger)
        made, last = hand_over(stranger, issued["accessToken"], below, limits=limits, targets=targets, task="Digest")
        (own,) = expect(200, other.get("/delegations?direction=given"))["items"]
        assert (own["id"], own["limits"], own["task"], len(own["targets"])) == (made["id"], limits, "Digest", 1)
        ended = expect(200, self.end(developer, made))
        assert (ended["limits"], ended["targets"], ended["task"]) == ({"email:read": [RATE]}, [], "")
        assert ended["used"] == [{"scope": "email:read", "index": 0, "requests": 0}]
        assert verify(last["accessToken"])["reason"] == "delegation_ended"

    def test_a_limited_key_reaches_what_its_agents_handed_over(
        self, developer: Api, second: Json, tree: list[Json]
    ) -> None:
        first, below, _ = tree
        ApiKey.objects.update(agent_ids=[second["id"]])
        problem(self.end(developer, first), 403, "key_limited")
        assert expect(200, self.end(developer, below))["status"] == "ended"

    def test_an_auditor_only_looks(self, developer: Api, tree: list[Json]) -> None:
        ApiKey.objects.update(role="auditor")
        assert expect(200, developer.get("/delegations"))["items"]
        problem(self.end(developer, tree[0]), 403, "role_insufficient")
