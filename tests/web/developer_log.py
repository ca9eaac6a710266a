"""The developer's log in tests: what is in it, and the rows of its page."""

from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.models import User
from agents.models import Agent
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from core.actor import Actor
from core.ids import new_id
from developers.acting import as_developer
from policies.models import Policy
from policies.services import create_policy
from tests.web.browser.pages.samples import RULES
from tests.world import ANONYMOUS, make_resource_server

REQUEST = new_id("req")
FOREIGN_REQUEST = "trace-2026.11.27-x"


@pytest.fixture
def policy(developer):
    actor = as_developer(ANONYMOUS, developer)
    return create_policy(actor=actor, organization=developer.organization, name="Office hours", rules=RULES)


@pytest.fixture
def server(developer):
    return make_resource_server(developer, "https://mail.example").server


@pytest.fixture
def write(agent, ada, server):
    return partial(write_denied, agent, ada, server.id)


@pytest.fixture
def denied(write):
    return write()


@pytest.fixture
def limited(write, policy):
    return write(**of_policy(policy))


def write_denied(agent: Agent, user: User, server_id: str, **fields: Any) -> str:
    """Write an entry of a denied request of the agent. Return its id."""
    draft = Draft(
        event=Event.TOKEN_VERIFY,
        actor=Actor("service", server_id, ip="198.51.100.9", request_id=REQUEST),
        outcome=Outcome.DENIED,
        reason="insufficient_scope",
        organization_id=agent.organization_id,
        agent_id=agent.id,
        user_id=user.id,
        consent_id="cns_" + "a" * 32,
        scopes=["email:send"],
        action="send<b>",
    )
    with transaction.atomic():
        return append([draft._replace(**fields)])[0]


def of_policy(policy: Policy) -> dict[str, Any]:
    """Return the fields of an entry of a request that a rule of the policy denied."""
    return {
        "reason": "policy_denied",
        "policy_id": policy.id,
        "policy_organization_id": policy.organization_id,
        "metadata": {"policyName": policy.name, "ruleType": "rate_limit", "ruleIndex": 0, "detail": "20 in an hour"},
    }


def rows(client: Client, **query: Any) -> list[str]:
    """Return the ids of the entries on the page."""
    response = client.get("/developer/logs", query)
    assert response.status_code == 200
    return [row.id for row in response.context["rows"]]
