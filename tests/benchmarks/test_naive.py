"""The naive reference decides what verify decides, so comparing their speeds is fair."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import Journal
from policies.services import create_policy
from resources.services import RegisteredResourceServer
from tests.constants import basic
from tests.world import ANONYMOUS, Grant, make_grant, make_resource_server
from tokens.models import TokenFamily

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _urls(settings: Any) -> None:
    settings.ROOT_URLCONF = "benchmarks.naive.views"


@pytest.fixture
def grant() -> Grant:
    return make_grant()


@pytest.fixture
def server(grant: Grant) -> RegisteredResourceServer:
    return make_resource_server(grant.agent.organization.developers.get(), "https://mail.example")


def ask(grant: Grant, server: RegisteredResourceServer, *scopes: str, token: str = "") -> dict[str, Any]:
    body = {
        "token": token or grant.access_token,
        "requiredScopes": scopes or ["email:read"],
        "context": {"ip": "203.0.113.7"},
    }
    headers = {"Authorization": basic(server.server.id, server.secret)}
    answer = Client().post("/api/v1/tokens/verify", body, content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def limit(grant: Grant, kind: str, **config: Any) -> None:
    organization = grant.agent.organization
    create_policy(actor=ANONYMOUS, organization=organization, name=kind, rules=[{"type": kind, "config": config}])


def test_an_allowed_request_is_logged(grant: Grant, server: RegisteredResourceServer) -> None:
    decision = ask(grant, server)

    assert (decision["allowed"], decision["userId"]) == (True, grant.user.id)
    entry = json.loads(bytes(Journal.objects.latest("pk").body))
    assert (entry["id"], entry["event"], entry["outcome"]) == (decision["auditId"], "token.verify", "allowed")
    assert entry["userId"] == grant.user.id


def test_it_denies_for_the_same_reasons(grant: Grant, server: RegisteredResourceServer) -> None:
    assert ask(grant, server, "email:send")["reason"] == "insufficient_scope"
    assert ask(grant, server, token=grant.access_token[:-8] + "AAAAAAAA")["reason"] == "invalid_token"

    TokenFamily.objects.update(revoked_at=timezone.now())

    assert ask(grant, server)["reason"] == "token_revoked"


@pytest.mark.parametrize(
    ("kind", "config", "allowed"),
    [
        ("ip_allowlist", {"cidrs": ["203.0.113.0/24"]}, True),
        ("ip_allowlist", {"cidrs": ["198.51.100.0/24"]}, False),
        ("action_allowlist", {"actions": ["email:*"]}, True),
        ("action_allowlist", {"actions": ["calendar:*"]}, False),
        ("action_blocklist", {"actions": ["payments:*"]}, True),
        ("action_blocklist", {"actions": ["email:read"]}, False),
    ],
)
def test_it_evaluates_policies(
    kind: str, config: dict[str, Any], allowed: bool, grant: Grant, server: RegisteredResourceServer
) -> None:
    limit(grant, kind, **config)

    assert ask(grant, server)["allowed"] is allowed


def test_it_counts_limits(grant: Grant, server: RegisteredResourceServer) -> None:
    limit(grant, "rate_limit", maxRequests=2, windowSeconds=2_592_000, scope="per_user")

    assert [ask(grant, server)["allowed"] for _ in range(3)] == [True, True, False]


def test_a_wrong_secret_is_refused(server: RegisteredResourceServer) -> None:
    headers = {"Authorization": basic(server.server.id, "rs_wrong")}

    answer = Client().post("/api/v1/tokens/verify", {}, content_type="application/json", headers=headers)

    assert answer.status_code == 401
