"""What a code and a refresh token depend on, as it is now: a consent, its agent and user, and the services."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from django.db import connection

from accounts.models import User
from agents.models import Agent
from consent.models import Consent
from core.sql import Columns
from developers.models import Organization
from resources.audiences import Service

CONSENT = Columns(Consent, "consent", "id", "agent_id", "user_id", "status", "granted_scopes", "terms", "expires_at")
AGENT = Columns(
    Agent,
    "agent",
    "id",
    "client_id",
    "organization_id",
    "allowed_scopes",
    "registration_source",
    "status",
    "stopped_at",
)
ORGANIZATION = Columns(Organization, "organization", "id", "suspended_at")
PERSON = Columns(User, "person", "id", "is_active")

JOINS = """
    LEFT JOIN agents_agent AS agent ON agent.id = consent.agent_id
    LEFT JOIN developers_organization AS organization ON organization.id = agent.organization_id
    LEFT JOIN accounts_user AS person ON person.id = consent.user_id
"""
# The services that still belong to the organizations in a column such as `resource_owners`: see `Service`.
SERVICES = {
    # Without LIMIT, the plan for a statement with any values could read all resource servers.
    "postgresql": """(
        SELECT jsonb_agg(jsonb_build_array(server.identifier, owner.id, owner.suspended_at IS NULL))
        FROM jsonb_each_text({owners}) AS wanted (identifier, organization_id)
        CROSS JOIN LATERAL (
            SELECT found.identifier, found.organization_id FROM resources_resourceserver AS found
            WHERE found.identifier = wanted.identifier AND found.organization_id = wanted.organization_id LIMIT 1
        ) AS server
        JOIN developers_organization AS owner ON owner.id = server.organization_id
    )""",
    "sqlite": """(
        SELECT json_group_array(json_array(server.identifier, owner.id, owner.suspended_at IS NULL))
        FROM json_each({owners}) AS wanted
        CROSS JOIN resources_resourceserver AS server
            ON server.identifier = wanted.key AND server.organization_id = wanted.value
        JOIN developers_organization AS owner ON owner.id = server.organization_id
    )""",
}


class Grant(NamedTuple):
    """A consent with its agent and user, the services that still have their identifiers, and the emergency stop."""

    consent: Consent | None
    services: list[Service]
    is_everything_stopped: bool


@cache
def columns_of_grant(owners: str) -> str:
    """Return the columns from which `make_grant` makes a grant. `owners` is the column with the services' owners.

    The statement joins the consent and then `JOINS`.
    """
    services = SERVICES[connection.vendor].format(owners=owners)
    models = ", ".join(part.sql for part in (CONSENT, AGENT, ORGANIZATION, PERSON))
    return f"{models}, {services}, EXISTS (SELECT 1 FROM agents_emergencystop)"  # noqa: S608


def make_grant(values: Iterator[Any]) -> Grant:
    """Take the values of `columns_of_grant` from those of a row."""
    consent, agent = CONSENT.make(values), AGENT.make(values)
    organization, person = ORGANIZATION.make(values), PERSON.make(values)
    services, is_stopped = values
    if consent is not None and agent is not None:
        agent.organization = organization
        consent.agent, consent.user = agent, person
    found = [Service(identifier, owner, bool(may_act)) for identifier, owner, may_act in json.loads(services or "[]")]
    return Grant(consent, found, bool(is_stopped))
