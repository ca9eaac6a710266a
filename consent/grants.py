"""What a code and a refresh token depend on, as it is now: a consent, its agent and user, and the services."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from django.db import connection

from accounts.models import User
from agents.emergency import LOOK
from agents.models import Agent
from consent.models import Consent
from core.locks import GRANTS
from core.sql import Columns, execute, fetch_one, pipelined
from developers.models import Organization
from resources.audiences import Service

CONSENT = Columns(
    Consent, "consent", "id", "agent_id", "user_id", "status", "granted_scopes", "terms", "expires_at", "paused_at"
)
# What says how the agent may act. `agents.selectors.AGENT` is the whole row.
ACTING_AGENT = Columns(
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
ORGANIZATION = Columns(Organization, "organization", "id", "suspended_at", "stopped_at", "deletes_at")
PERSON = Columns(User, "person", "id", "is_active", "agents_paused_at")

_JOINS = """
    LEFT JOIN agents_agent AS agent ON agent.id = consent.agent_id
    LEFT JOIN developers_organization AS organization ON organization.id = agent.organization_id
    LEFT JOIN accounts_user AS person ON person.id = consent.user_id
"""
# The services that still belong to the organizations in a column such as `resource_owners`: see `Service`.
SERVICES = {
    # Without LIMIT, the plan for a statement with any values could read all resource servers.
    "postgresql": """(
        SELECT jsonb_agg(jsonb_build_array(
            server.identifier, owner.id, owner.suspended_at IS NULL AND owner.deletes_at IS NULL
        ))
        FROM jsonb_each_text({owners}) AS wanted (identifier, organization_id)
        CROSS JOIN LATERAL (
            SELECT found.identifier, found.organization_id FROM resources_resourceserver AS found
            WHERE found.identifier = wanted.identifier AND found.organization_id = wanted.organization_id LIMIT 1
        ) AS server
        JOIN developers_organization AS owner ON owner.id = server.organization_id
    )""",
    "sqlite": """(
        SELECT json_group_array(
            json_array(server.identifier, owner.id, owner.suspended_at IS NULL AND owner.deletes_at IS NULL)
        )
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


class Source(NamedTuple):
    """How to find what a client redeems for tokens, a code or a refresh token, with the consent, by its digest.

    `columns` are read and `owners` is the one with the services' owners. `joined` are their tables and the consent, and
    `found_by` is the column with the digest. `locked` is the row to lock.
    """

    columns: str
    owners: str
    joined: str
    found_by: str
    locked: str


def lock_source(source: Source, digest: str) -> Iterator[Any] | None:
    """Lock the row. Return the values of its columns and then those for `make_grant`, or None if there is no such row.

    A stop of everything waits until the transaction has ended, as with `share_grants`.

    Danger: read in a statement of its own. One that waits for a lock sees the other rows as they were before.
    """
    with pipelined():
        if connection.vendor == "postgresql":
            lock = f"SELECT pg_advisory_xact_lock_shared(%s), id FROM {source.locked} FOR UPDATE"  # noqa: S608
            execute(lock, [GRANTS, digest])
        found = fetch_one(_read_sql(source), [digest])
    return None if found is None else iter(found)


@cache
def _read_sql(source: Source) -> str:
    services = SERVICES[connection.vendor].format(owners=source.owners)
    parts = [source.columns, *(part.sql for part in (CONSENT, ACTING_AGENT, ORGANIZATION, PERSON)), services]
    columns = ", ".join([*parts, f"EXISTS ({LOOK})"])
    return f"SELECT {columns} FROM {source.joined} {_JOINS} WHERE {source.found_by} = %s"  # noqa: S608


def make_grant(values: Iterator[Any]) -> Grant:
    """Take the last values of a row that `lock_source` has returned."""
    consent, agent = CONSENT.make(values), ACTING_AGENT.make(values)
    organization, person = ORGANIZATION.make(values), PERSON.make(values)
    services, is_stopped = values
    if consent is not None and agent is not None:
        agent.organization = organization
        consent.agent, consent.user = agent, person
    found = [Service(identifier, owner, bool(may_act)) for identifier, owner, may_act in json.loads(services or "[]")]
    return Grant(consent, found, bool(is_stopped))
