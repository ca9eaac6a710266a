"""The policies and the logs of both organizations apply to a request: the agent's and the service's (over HTTP)."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from tests.api.conftest import Api, Json, expect, new_agent, new_developer, tokens_for
from tests.api.test_tokens import basic
from tests.oauth.client import OAuthClient, introspect
from tests.shared import cases
from tests.world import sign_in

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
        """Verify a token as the resource server."""
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


@pytest.fixture(scope="module")
def home(developer: Api) -> Tenant:
    """The agent's organization."""
    return Tenant(developer, "home.example")


@pytest.fixture(scope="module")
def shop(rival: Api) -> Tenant:
    """Another organization, whose service the agent uses."""
    return Tenant(rival, "shop.example")


@pytest.fixture(scope="module")
def third(rows: None) -> Tenant:
    return Tenant(new_developer("third@example.com"), "third.example")


@pytest.fixture(scope="module")
def own_agent(home: Tenant) -> Json:
    return new_agent(home.api, allowedScopes=SCOPES)


@pytest.fixture
def token_for(own_agent: Json, ada: Any) -> Any:
    """Return a function that gets the agent's token for resources."""

    def make(*resource: str) -> str:
        named = {"resource": list(resource)} if resource else {}
        return str(tokens_for(own_agent, ada, requestedScopes=SCOPES, **named)["accessToken"])

    return make


@pytest.fixture
def stock(ada: Any) -> Any:
    """Return a function that gets a stock client's token for resources, in the given order."""
    from accounts.models import User
    from agents.models import Agent

    def make(*resource: str) -> str:
        body = {"client_name": "Stock", "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"}
        answer = Client().post("/oauth/register", body, content_type="application/json")
        client = OAuthClient(Agent.objects.get(client_id=answer.json()["client_id"]), "")
        return str(client.tokens(User.objects.get(pk=ada.id), resource=list(resource))["access_token"])

    return make


def test_the_order_of_resources_does_not_matter(home: Tenant, shop: Tenant, stock: Any) -> None:
    """Otherwise an attacker whose resource is named first could set the policies and hide the log entry."""
    policy = shop.policy(NO_MAIL)
    token = stock(home.identifier, shop.identifier)

    denied = shop.ask(token)

    assert (denied["allowed"], denied["reason"]) == (False, "policy_denied")
    assert denied["policy"]["id"] == policy["id"]
    assert [entry["id"] for entry in shop.log()] == [denied["auditId"]]
    assert home.log() == []
    assert home.ask(token)["allowed"] is True


@cases("is_anonymous", [False, True])
def test_policies_and_logs_of_both_organizations_apply(
    home: Tenant, shop: Tenant, third: Tenant, token_for: Any, is_anonymous: bool
) -> None:
    token = token_for(shop.identifier)

    def ask() -> Json:
        return anonymous(token, resource="HTTPS://SHOP.example:443/") if is_anonymous else shop.ask(token)

    allowed = ask()
    ours = home.policy(NO_MAIL)
    denied_by_home = ask()
    home.api.delete(f"/policies/{ours['id']}")
    theirs = shop.policy(NO_MAIL)
    denied_by_shop = ask()
    third.policy(NO_MAIL)

    assert allowed["allowed"] is True
    assert denied_by_home["policy"]["id"] == ours["id"]
    assert denied_by_shop["policy"] == {"id": theirs["id"], "name": "Secret plan", "ruleType": "action_blocklist"}
    decisions = [one["auditId"] for one in (denied_by_shop, denied_by_home, allowed)]
    assert [entry["id"] for entry in home.log()] == decisions
    assert [entry["id"] for entry in shop.log()] == decisions
    assert third.log() == []


def test_a_policy_for_one_agent_applies_only_to_the_organizations_own_agent(
    home: Tenant, shop: Tenant, own_agent: Json, token_for: Any
) -> None:
    answer = shop.api.post("/policies", {"name": "x", "rules": NO_MAIL, "agentId": own_agent["id"]})
    assert answer.status_code == 400
    shop.policy(NO_MAIL, agentId=new_agent(shop.api, allowedScopes=SCOPES)["id"])
    assert shop.ask(token_for(shop.identifier))["allowed"] is True


def test_limits_of_both_organizations_count_together_or_not_at_all(home: Tenant, shop: Tenant, token_for: Any) -> None:
    token = token_for(home.identifier, shop.identifier)
    home.policy([{"type": "rate_limit", "config": {**ONE_CALL[0]["config"], "maxRequests": 2}}])
    shop.policy(ONE_CALL)

    answers = [shop.ask(token), shop.ask(token), home.ask(token), home.ask(token)]

    # The shop's limit denied the second request, so it did not count for the home limit either.
    assert [answer["allowed"] for answer in answers] == [True, False, True, False]


def test_each_request_of_a_batch_is_decided_for_the_service_that_it_names(
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


def test_an_entry_is_listed_once_if_both_are_the_same_organization(home: Tenant, token_for: Any) -> None:
    decision = home.ask(token_for())
    assert [entry["id"] for entry in home.log()] == [decision["auditId"]]


def test_naming_a_resource_does_not_write_to_its_organizations_log(home: Tenant, shop: Tenant, token_for: Any) -> None:
    for token in (token_for(), token_for(home.identifier)):
        assert anonymous(token, resource=shop.identifier)["reason"] == "wrong_audience"
    assert shop.log() == []
    assert len(home.log()) == 2


def test_the_audience_of_a_deleted_service_is_denied(home: Tenant, shop: Tenant, token_for: Any) -> None:
    token = token_for(shop.identifier)
    assert anonymous(token, resource=shop.identifier)["allowed"] is True
    assert shop.api.delete(f"/resource-servers/{shop.server['id']}").status_code == 204
    assert anonymous(token, resource=shop.identifier)["reason"] == "wrong_audience"


def test_a_request_with_a_token_for_another_audience_is_logged_for_the_service(
    home: Tenant, shop: Tenant, token_for: Any
) -> None:
    decision = shop.ask(token_for())
    assert decision["reason"] == "wrong_audience"
    assert [entry["id"] for entry in shop.log()] == [entry["id"] for entry in home.log()] == [decision["auditId"]]


def test_requests_with_deleted_tokens_are_logged_for_both(
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


def test_access_granted_to_another_organizations_agent_is_in_the_services_log(
    shop: Tenant, third: Tenant, own_agent: Json, ada: Any, token_for: Any
) -> None:
    token = token_for(shop.identifier)
    expect(200, Api().post("/tokens/revoke", {"token": token}))
    events = [entry["event"] for entry in shop.log(f"agentId={own_agent['id']}")]
    assert events == ["token.revoked", "token.issued", "consent.approved"]
    assert third.log(f"agentId={own_agent['id']}") == []


def test_filters_and_pages_work_in_the_services_log(
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


class TestDisclosure:
    """The two organizations see only ids, requests and decisions of each other."""

    def test_the_agents_organization_sees_only_the_rule_type_of_the_services_policy(
        self, home: Tenant, shop: Tenant, token_for: Any
    ) -> None:
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

    def test_the_service_does_not_see_the_policy_of_the_agents_organization(
        self, home: Tenant, shop: Tenant, token_for: Any
    ) -> None:
        home.policy(NO_MAIL)
        shop.ask(token_for(shop.identifier))
        (entry,) = shop.log()
        assert entry["policyId"] is None
        assert "Secret plan" not in str(entry)

    def test_the_portal_does_not_name_agents_of_other_organizations(
        self, home: Tenant, shop: Tenant, token_for: Any
    ) -> None:
        from accounts.models import User

        shop.ask(token_for(shop.identifier))
        pages = []
        for email in ("acme@example.com", "rival@example.com"):
            browser = sign_in(User.objects.get(email=email))
            pages.append([browser.get(path).content.decode() for path in ("/developer/logs", "/developer/")])
        (our_log, _), (their_log, their_overview) = pages
        assert "token.verify" in our_log
        assert "SmartMail" in our_log
        assert "token.verify" in their_log
        assert "SmartMail" not in their_log + their_overview

    def test_the_user_sees_whose_policy_denied(self, home: Tenant, shop: Tenant, token_for: Any, ada: Any) -> None:
        from accounts.models import User

        token = token_for(shop.identifier)
        shop.policy(NO_MAIL, name="Opening hours")
        shop.ask(token)
        browser = Client()
        browser.force_login(User.objects.get(pk=ada.id))
        why = re.search(r'href="(/activity/[^"]+)"[^>]*>\s*Why\?', browser.get("/activity").content.decode())
        assert why is not None
        page = strip_tags(browser.get(why[1]).content.decode())
        assert "Rule of the service, which calls it Opening hours" in page


@pytest.mark.django_db
def test_a_batch_needs_no_query_per_request(
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
    decide(requests[:1])  # reads the policies, and creates the counter
    with django_assert_max_num_queries(14):
        decisions = decide(requests)
    assert not any(decision.allowed for decision in decisions)
