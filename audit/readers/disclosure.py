"""Which parts of an entry its readers see.

An entry can be in the logs of two organizations. Both see the request, the decision and the user's id, but only the
rule type of the other's policy. IP addresses and user agents are shown only to the party that they belong to. A consent
covers everything that a user allows an agent, so the organization of a service sees only what the request that named
the service asked for, and not which other organizations' services are concerned. If work was handed on, each reader
sees the chain. The organization of an agent above sees where it went, because that agent's tokens reach there.
"""

from collections.abc import Mapping
from typing import Any

from audit.entries.drafts import CALL, CONNECTION, PARTS, POLICY, REASON, REQUEST_ID, SERVICES
from audit.entries.outlines import CONNECTION as CONNECTION_STREAM
from audit.entries.outlines import ORGANIZATION, PERSON
from audit.events import Event
from audit.readers.reading import AuditEntry, Visible

ORIGIN = frozenset({"ip", "userAgent"})
PERSONAL = frozenset({*PARTS, CALL})
WITHHELD = frozenset({POLICY, CONNECTION, SERVICES})
ORGANIZATION_KINDS = frozenset({"agent", "api_key", "developer", "service"})


def disclose_to_user(entry: AuditEntry, user_id: str) -> dict[str, Any]:
    """Return an entry about the user with its personal data, but with the origin only if the user acted."""
    return entry.described(visible_to_user(entry.content, user_id))


def disclose_to_organization(entry: AuditEntry, organization_id: str) -> dict[str, Any]:
    """Return those parts of an entry and its personal data that the organization may read."""
    return entry.described(visible_to_organization(entry.content, organization_id))


def visible_to_user(content: Mapping[str, Any], user_id: str) -> Visible:
    """Return the parts that the user may see of an entry about them, given its content (`AuditEntry.content`)."""
    personal = PERSONAL if _is_users_act(content, user_id) else PERSONAL - ORIGIN
    return Visible(personal, WITHHELD, frozenset({PERSON, CONNECTION_STREAM}))


def visible_to_organization(content: Mapping[str, Any], organization_id: str) -> Visible:
    """Return the parts that the organization may see of an entry, given its content (`AuditEntry.content`)."""
    personal, withheld = {"resource", REASON, REQUEST_ID}, set()
    if _is_own_address(content, organization_id):
        personal.add("ip")
    if _is_own_act(content, organization_id):
        personal.add("userAgent")
    if content["policyOrganizationId"] in (None, organization_id):
        withheld.add(POLICY)
    if content["organizationId"] == organization_id:
        withheld |= {CONNECTION, SERVICES}
    elif any(link["organizationId"] == organization_id for link in content.get("chain", ())):
        withheld.add(SERVICES)
    return Visible(frozenset(personal), frozenset(withheld), frozenset({ORGANIZATION + organization_id}))


def _is_own_address(content: Mapping[str, Any], organization_id: str) -> bool:
    """Return whether the IP address belongs to one of the organization's agents, developers or services.

    Verify records the address of the agent, no matter which service asks. The address of a stock client is not shown,
    because it has no organization.
    """
    if content["event"] == Event.TOKEN_VERIFY:
        return bool(content["organizationId"] == organization_id)
    return _is_own_act(content, organization_id)


def _is_own_act(content: Mapping[str, Any], organization_id: str) -> bool:
    """Return whether one of the organization's own agents, developers or services acted.

    Anonymous callers may be a user's browser, and stock clients run on a user's machine, so they count for no
    organization.
    """
    kind = content["actor"]["kind"]
    if kind not in ORGANIZATION_KINDS:
        return False
    if kind == "service":
        return organization_id in content["serviceOrganizationIds"]
    return organization_id == _organization_of_actor(content)


def _organization_of_actor(content: Mapping[str, Any]) -> str | None:
    """Return the organization of the agent or developer who acted, or None if the entry does not say it.

    What happens to a delegation is logged for the receiving agent, but an agent above or its developer can have acted.
    """
    actor = content["actor"]
    own: str | None = content["organizationId"]
    owners: dict[str, str | None] = {link["agentId"]: link["organizationId"] for link in content.get("chain", ())}
    if actor["kind"] == "agent":
        return owners.get(actor["id"], own)
    return own if {*owners.values()} <= {own} else None


def _is_users_act(content: Mapping[str, Any], user_id: str) -> bool:
    """Return whether the user acted, as a user or as the developer in `metadata.developerId`."""
    actor = content["actor"]
    if actor["kind"] == "developer":
        return bool(content["userId"] == user_id and actor["id"] == content["metadata"].get("developerId"))
    return bool(actor["kind"] == "user" and actor["id"] == user_id)
