"""Whose policies bind a call and whose log holds it: the agent's organization's and the asking service's, over HTTP."""

from typing import Any

import pytest
from django.test import Client

from tests.api.conftest import Api, Json, expect, new_agent, tokens_for
from tests.api.test_tokens import basic
from tests.oauth.client import OAuthClient, introspect

SCOPES = ["email:read", "email:send"]
NO_MAIL = [{"type": "action_blocklist", "config": {"actions": ["email:*"]}}]
ONE_CALL = [{"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "global"}}]


class Tenant:
    """A developer with a resource server."""

    def __init__(self, api: Api, host: str) -> None:
        self.api = api
        body = {"name": host, "identifier": f"https://{host}", "scopes": SCOPES}
        self.server = expect(201, api.post("/resource-servers", body))
        self.identifier = self.server["identifier"]

    def ask(self, token: str, **fields: Any) -> Json:
        """Ask as the resource server."""
        service = Api(Authorization=basic(self.server["id"], self.server["secret"]))
        return expect(200, service.post("/tokens/verify", question(token, **fields)))

    def policy(self, rules: list[Json], **fields: Any) -> Json:
        return expect(201, self.api.post("/policies", {"name": "Secret plan", "rules": rules, **fields}))

    def log(self, query: str = "event=token.verify") -> list[Json]:
        return expect(200, self.api.get(f"/audit?{query}"))["items"]


def question(token: str, *scopes: str, **fields: Any) -> Json:
    return {"token": token, "requiredScopes": list(scopes or ["email:read"]), **fields}


def anonymous(token: str, **fields: Any) -> Json:
    return expect(200, Api().post("/tokens/verify", question(token, **fields)))


@pytest.fixture
def home(developer: Api) -> Tenant:
    """The agent's organization."""
    return Tenant(developer, "home.example")


@pytest.fixture
def shop(rival: Api) -> Tenant:
    """The organization of a service that foreign agents use."""
    return Tenant(rival, "shop.example")


@pytest.fixture
def third(new_developer: Any) -> Tenant:
    return Tenant(Api(X_Api_Key=new_developer("third@example.com")["apiKey"]), "third.example")


@pytest.fixture
def own_agent(home: Tenant) -> Json:
    return new_agent(home.api, allowedScopes=SCOPES)


@pytest.fixture
def token_for(own_agent: Json, ada: Any) -> Any:
    def make(*resource: str) -> str:
        named = {"resource": list(resource)} if resource else {}
        return str(tokens_for(own_agent, ada, requestedScopes=SCOPES, **named)["accessToken"])

    return make


@pytest.fixture
def stock(ada: Any) -> Any:
    """Return the function that gets a stock client's token for some resources, in the order named."""
    from accounts.models import User
    from agents.models import Agent

    def make(*resource: str) -> str:
        body = {"client_name": "Stock", "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}
        answer = Client().post("/oauth/register", body, content_type="application/json")
        client = OAuthClient(Agent.objects.get(client_id=answer.json()["client_id"]), "")
        return str(client.tokens(User.objects.get(pk=ada.id), resource=list(resource))["access_token"])

    return make


def test_the_first_resource_named_decides_nothing(home: Tenant, shop: Tenant, stock: Any) -> None:
    """Seen: named after an attacker's, a service was judged by the attacker's policies, in the attacker's log only."""
    policy = shop.policy(NO_MAIL)
    token = stock(home.identifier, shop.identifier)

    denied = shop.ask(token)

    assert (denied["allowed"], denied["reason"]) == (False, "policy_denied")
    assert denied["policy"]["id"] == policy["id"]
    assert [entry["id"] for entry in shop.log()] == [denied["auditId"]]
    assert home.log() == []
    assert home.ask(token)["allowed"] is True


@pytest.mark.parametrize("is_anonymous", [False, True])
def test_a_foreign_agent_is_bound_by_both_and_logged_for_both(
    home: Tenant, shop: Tenant, third: Tenant, token_for: Any, is_anonymous: bool
) -> None:
    token = token_for(shop.identifier)

    def ask() -> Json:
        return anonymous(token, resource="HTTPS://SHOP.example:443/") if is_anonymous else shop.ask(token)

    allowed = ask()
    ours = home.policy(NO_MAIL)
    by_ours = ask()
    home.api.delete(f"/policies/{ours['id']}")
    theirs = shop.policy(NO_MAIL)
    by_theirs = ask()
    third.policy(NO_MAIL)

    assert allowed["allowed"] is True
    assert by_ours["policy"]["id"] == ours["id"]
    assert by_theirs["policy"] == {"id": theirs["id"], "name": "Secret plan", "ruleType": "action_blocklist"}
    decisions = [one["auditId"] for one in (by_theirs, by_ours, allowed)]
    assert [entry["id"] for entry in home.log()] == decisions
    assert [entry["id"] for entry in shop.log()] == decisions
    assert third.log() == []


def test_a_policy_for_one_agent_is_for_an_agent_of_its_own_organization(
    home: Tenant, shop: Tenant, own_agent: Json, token_for: Any
) -> None:
    answer = shop.api.post("/policies", {"name": "x", "rules": NO_MAIL, "agentId": own_agent["id"]})
    assert answer.status_code == 400
    shop.policy(NO_MAIL, agentId=new_agent(shop.api, allowedScopes=SCOPES)["id"])
    assert shop.ask(token_for(shop.identifier))["allowed"] is True


def test_limits_of_both_count_together_or_not_at_all(home: Tenant, shop: Tenant, token_for: Any) -> None:
    token = token_for(home.identifier, shop.identifier)
    home.policy([{"type": "rate_limit", "config": {**ONE_CALL[0]["config"], "maxRequests": 2}}])
    shop.policy(ONE_CALL)

    answers = [shop.ask(token), shop.ask(token), home.ask(token), home.ask(token)]

    # The second did not count at home, for the shop's limit had no room.
    assert [answer["allowed"] for answer in answers] == [True, False, True, False]


def test_in_a_batch_each_question_is_judged_for_the_service_it_names(
    home: Tenant, shop: Tenant, third: Tenant, token_for: Any
) -> None:
    shop.policy(NO_MAIL)
    token = token_for(home.identifier, shop.identifier, third.identifier)
    asked = [question(token, resource=one.identifier) for one in (third, shop, home)]

    decisions = expect(200, Api().post("/tokens/verify/batch", {"requests": asked}))["decisions"]

    assert [decision["allowed"] for decision in decisions] == [True, False, True]
    ids = [decision["auditId"] for decision in decisions]
    assert [entry["id"] for entry in shop.log()] == [ids[1]]
    assert [entry["id"] for entry in third.log()] == [ids[0]]
    assert {entry["id"] for entry in home.log()} == set(ids)


def test_an_entry_is_listed_once_where_both_are_one_organization(home: Tenant, token_for: Any) -> None:
    decision = home.ask(token_for())
    assert [entry["id"] for entry in home.log()] == [decision["auditId"]]


def test_no_one_writes_into_a_log_by_naming_its_resource(home: Tenant, shop: Tenant, token_for: Any) -> None:
    for token in (token_for(), token_for(home.identifier)):
        assert anonymous(token, resource=shop.identifier)["reason"] == "wrong_audience"
    assert shop.log() == []
    assert len(home.log()) == 2


def test_nobody_answers_for_the_audience_of_a_deleted_service(home: Tenant, shop: Tenant, token_for: Any) -> None:
    token = token_for(shop.identifier)
    assert anonymous(token, resource=shop.identifier)["allowed"] is True
    assert shop.api.delete(f"/resource-servers/{shop.server['id']}").status_code == 204
    assert anonymous(token, resource=shop.identifier)["reason"] == "wrong_audience"


def test_a_service_that_asks_in_vain_finds_its_question(home: Tenant, shop: Tenant, token_for: Any) -> None:
    decision = shop.ask(token_for())
    assert decision["reason"] == "wrong_audience"
    assert [entry["id"] for entry in shop.log()] == [entry["id"] for entry in home.log()] == [decision["auditId"]]


def test_a_token_that_is_gone_is_logged_for_both_too(
    home: Tenant, shop: Tenant, own_agent: Json, token_for: Any
) -> None:
    from tokens.models import AccessToken

    token = token_for(shop.identifier)
    AccessToken.objects.all().delete()

    asked, named = shop.ask(token), anonymous(token, resource=shop.identifier)

    assert asked["reason"] == named["reason"] == "token_revoked"
    for tenant in (home, shop):
        assert [entry["id"] for entry in tenant.log()] == [named["auditId"], asked["auditId"]]
    assert {entry["agentId"] for entry in home.log()} == {own_agent["id"]}


def test_introspection_is_logged_for_both(home: Tenant, shop: Tenant, token_for: Any) -> None:
    from resources.models import ResourceServer
    from resources.services import RegisteredResourceServer

    server = RegisteredResourceServer(ResourceServer.objects.get(pk=shop.server["id"]), shop.server["secret"])
    assert introspect(server, token_for(shop.identifier))["active"] is True
    assert introspect(server, token_for())["active"] is False
    for tenant in (home, shop):
        outcomes = [entry["outcome"] for entry in tenant.log("event=token.introspected")]
        assert outcomes == ["denied", "allowed"]


def test_access_given_to_a_foreign_agent_stands_in_the_services_log(
    shop: Tenant, third: Tenant, own_agent: Json, ada: Any, token_for: Any
) -> None:
    token = token_for(shop.identifier)
    expect(200, Api().post("/tokens/revoke", {"token": token}))
    events = [entry["event"] for entry in shop.log(f"agentId={own_agent['id']}")]
    assert events == ["token.revoked", "token.issued", "consent.approved"]
    assert third.log(f"agentId={own_agent['id']}") == []


def test_filters_and_pages_hold_in_the_services_log(
    home: Tenant, shop: Tenant, own_agent: Json, ada: Any, token_for: Any
) -> None:
    token = token_for(shop.identifier)
    ids = [shop.ask(token)["auditId"] for _ in range(5)]
    denied = expect(200, Api().post("/tokens/verify", question(token, "files:read", resource=shop.identifier)))

    assert [entry["id"] for entry in shop.log("event=token.verify&outcome=denied")] == [denied["auditId"]]
    assert len(shop.log(f"agentId={own_agent['id']}&userId={ada.id}&event=token.verify&outcome=allowed")) == 5
    assert shop.log(f"agentId={new_agent(shop.api)['id']}&event=token.verify") == []
    seen, cursor = [], ""
    while cursor is not None:
        page = expect(200, shop.api.get(f"/audit?event=token.verify&limit=2{cursor and '&cursor='}{cursor}"))
        seen += [entry["id"] for entry in page["items"]]
        cursor = page["nextCursor"]
    assert seen == [denied["auditId"], *reversed(ids)]


class TestWalls:
    """Of each other, the two organizations see ids, what was asked, and what was decided."""

    def test_of_a_foreign_policy_only_the_rules_type_is_told(self, home: Tenant, shop: Tenant, token_for: Any) -> None:
        token = token_for(shop.identifier)
        policy = shop.policy(NO_MAIL)
        shop.ask(token)

        (theirs,), (ours,) = shop.log(), home.log()

        assert theirs["policyId"] == policy["id"]
        assert theirs["metadata"]["policyName"] == "Secret plan"
        assert (ours["reason"], ours["policyId"]) == ("policy_denied", None)
        assert ours["metadata"]["ruleType"] == "action_blocklist"
        assert "Secret plan" not in str(ours)
        assert not {"policyName", "ruleIndex", "detail"} & set(ours["metadata"])

    def test_the_service_sees_no_more_of_the_agents_policy(self, home: Tenant, shop: Tenant, token_for: Any) -> None:
        home.policy(NO_MAIL)
        shop.ask(token_for(shop.identifier))
        (entry,) = shop.log()
        assert entry["policyId"] is None
        assert "Secret plan" not in str(entry)

    def test_the_portal_names_no_foreign_agent(self, home: Tenant, shop: Tenant, token_for: Any) -> None:
        from accounts.models import User

        shop.ask(token_for(shop.identifier))
        pages = []
        for email in ("acme@example.com", "rival@example.com"):
            browser = Client()
            browser.force_login(User.objects.get(email=email))
            pages.append([browser.get(path).content.decode() for path in ("/developer/audit", "/developer/")])
        for ours, theirs in zip(*pages, strict=True):
            assert "token.verify" in ours
            assert "SmartMail" in ours
            assert "token.verify" in theirs
            assert "SmartMail" not in theirs

    def test_a_person_reads_whose_rule_said_no(self, home: Tenant, shop: Tenant, token_for: Any, ada: Any) -> None:
        from accounts.models import User

        token = token_for(shop.identifier)
        shop.policy(NO_MAIL, name="Opening hours")
        shop.ask(token)
        browser = Client()
        browser.force_login(User.objects.get(pk=ada.id))
        assert "A policy of the service denied this: Opening hours." in browser.get("/activity").content.decode()


@pytest.mark.django_db
def test_a_batch_costs_no_query_per_question(
    home: Tenant, shop: Tenant, token_for: Any, django_assert_max_num_queries: Any
) -> None:
    from core.actor import Actor
    from decisions.requests import VerifyRequest
    from decisions.services import decide

    tokens = [token_for(home.identifier, shop.identifier) for _ in range(3)]
    home.policy(ONE_CALL)
    requests = [
        VerifyRequest(
            token=token, required_scopes=("email:read",), actor=Actor("anonymous"), resource=tenant.identifier
        )
        for token in tokens * 10
        for tenant in (home, shop)
    ]
    with django_assert_max_num_queries(14):
        decisions = decide(requests)
    assert sum(decision.allowed for decision in decisions) == 1
