"""Requests authenticated before a reset, a suspension, a removal or a lower role, whose transactions start after it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import User
from agents.models import Agent
from api.endpoint import DeveloperEndpoint
from core.actor import SYSTEM
from developers.acting import as_developer
from developers.members import change_role, end_membership
from developers.models import Developer, Organization
from developers.roles import Role
from developers.services import suspend_organization
from tests.api.conftest import CALLBACK, SCOPES, Api, expect, new_agent, problem
from tests.log import log_entries
from tests.world import make_member

RULES = [{"type": "action_blocklist", "config": {"actions": ["payments:*"]}}]
AGENT = {"name": "Late", "redirectUris": [CALLBACK], "allowedScopes": SCOPES}
SERVER = {"name": "Late", "identifier": "https://late.example", "scopes": ["email:read"]}

# What the log ends with, unless the request has written something.
LAST = ("organization.suspended", "policy.created", "agent.created", "member.removed", "member.refused")

Event = Callable[[], object]


def reset_password() -> None:
    user = User.objects.get(email="acme@example.com")
    user.set_password("the-owner's-own-passphrase-9")
    user.save()


def suspend() -> None:
    suspend_organization(
        actor=SYSTEM,
        organization=Organization.objects.get(developers__user__email="acme@example.com"),
        reason="Fraud reports.",
    )


def by_another_owner() -> dict[str, Any]:
    developer = Developer.objects.get(user__email="acme@example.com")
    actor = as_developer(SYSTEM, make_member(developer, "owner@example.com", Role.OWNER))
    return {"actor": actor, "organization_id": developer.organization_id, "member_id": developer.id}


def remove() -> None:
    end_membership(**by_another_owner())


def demote() -> None:
    change_role(role=Role.AUDITOR, **by_another_owner())


@pytest.fixture
def overtaken(monkeypatch: pytest.MonkeyPatch) -> Callable[[Event], None]:
    """Return a function that makes an event happen after the credential check and before the write."""

    def arrange(event: Event) -> None:
        original = DeveloperEndpoint.identify

        def identify(endpoint: DeveloperEndpoint) -> None:
            original(endpoint)
            event()

        monkeypatch.setattr(DeveloperEndpoint, "identify", identify)

    return arrange


@pytest.fixture(scope="module")
def paths(developer: Api) -> dict[str, str]:
    server = expect(201, developer.post("/resource-servers", {**SERVER, "identifier": "https://mail.example"}))
    policy = expect(201, developer.post("/policies", {"name": "No payments", "rules": RULES}))
    return {
        "agent": f"/agents/{new_agent(developer)['id']}",
        "server": f"/resource-servers/{server['id']}",
        "policy": f"/policies/{policy['id']}",
    }


WRITES: dict[str, tuple[str, str, Any]] = {
    "register an agent": ("POST", "/agents", AGENT),
    "update an agent": ("PATCH", "{agent}", {"status": "active"}),
    "rotate a client secret": ("POST", "{agent}/rotate-secret", {}),
    "register a resource server": ("POST", "/resource-servers", SERVER),
    "update a resource server": ("PATCH", "{server}", {"name": "Late"}),
    "rotate a resource server's secret": ("POST", "{server}/rotate-secret", {}),
    "delete a resource server": ("DELETE", "{server}", None),
    "create a policy": ("POST", "/policies", {"name": "Late", "rules": RULES}),
    "update a policy": ("PATCH", "{policy}", {"enabled": False}),
    "delete a policy": ("DELETE", "{policy}", None),
}


@pytest.fixture(params=list(WRITES))
def write(request: pytest.FixtureRequest, developer: Api, paths: dict[str, str]) -> Iterator[Callable[[], Any]]:
    """Yield the request, and check afterwards that it wrote nothing."""
    method, path, body = WRITES[request.param]
    agents = list(Agent.objects.values())
    yield lambda: developer.call(method, path.format(**paths), body)
    assert list(Agent.objects.values()) == agents
    events = list(log_entries().order_by("-id").values_list("event", flat=True)[:1])
    assert events in [[last] for last in LAST]


def test_a_request_overtaken_by_a_password_reset_writes_nothing(
    write: Callable[[], Any], overtaken: Callable[[Event], None]
) -> None:
    overtaken(reset_password)
    problem(write(), 401, "not_authenticated")


def test_a_request_overtaken_by_a_suspension_writes_nothing(
    write: Callable[[], Any], overtaken: Callable[[Event], None]
) -> None:
    overtaken(suspend)
    problem(write(), 403, "organization_suspended")


def test_a_request_overtaken_by_the_removal_of_the_member_writes_nothing(
    write: Callable[[], Any], overtaken: Callable[[Event], None]
) -> None:
    overtaken(remove)
    problem(write(), 401, "not_authenticated")


def test_a_request_overtaken_by_a_lower_role_writes_nothing(
    write: Callable[[], Any], overtaken: Callable[[Event], None]
) -> None:
    overtaken(demote)
    problem(write(), 403, "role_insufficient")
