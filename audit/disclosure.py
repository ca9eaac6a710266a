"""Which parts of an entry its readers see.

An entry can be in the logs of two organizations. Both see the request, the decision and the user's id, but only the
rule type of the other's policy. IP addresses and user agents are shown only to the party that they belong to. A consent
covers everything that a user allows an agent, so the organization of a service sees only what the request that named
the service asked for.
"""

from collections.abc import Mapping
from typing import Any

from audit.events import Event

POLICY_METADATA = frozenset({"policyName", "ruleIndex", "detail"})
# Entries of these events describe the whole connection, not only the request that named the service.
CONNECTION_EVENTS = frozenset({Event.CONSENT_APPROVED, Event.CONSENT_REPLACED, Event.CONSENT_REVOKED})
REQUEST_METADATA = frozenset({"requestedScopes", "notGranted", "replacedBy", "reason"})
ORGANIZATION_KINDS = frozenset({"agent", "developer", "service"})


def disclose_to_user(content: Mapping[str, Any], user_id: str) -> dict[str, Any]:
    """Return an entry about the user with its personal data, but with the origin only if the user acted."""
    personal = content["personal"]
    if _is_users_act(content, user_id):
        return dict(content)
    return {**content, "personal": {**personal, "ip": None, "userAgent": None}}


def disclose_to_organization(content: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    """Return those parts of an entry and its personal data that the organization may read."""
    personal = content["personal"]
    shown = {
        "resource": personal.get("resource"),
        "ip": personal.get("ip") if _is_own_address(content, organization_id) else None,
        "userAgent": personal.get("userAgent") if _is_own_act(content, organization_id) else None,
    }
    content = _limit_to_request(_without_foreign_policy(content, organization_id), organization_id)
    return {**content, "personal": shown}


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
    return bool(content["organizationId"] == organization_id)


def _is_users_act(content: Mapping[str, Any], user_id: str) -> bool:
    """Return whether the user acted, as a user or as the developer in `metadata.developerId`."""
    actor = content["actor"]
    if actor["kind"] == "developer":
        return bool(content["userId"] == user_id and actor["id"] == content["metadata"].get("developerId"))
    return bool(actor["kind"] == "user" and actor["id"] == user_id)


def _without_foreign_policy(content: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    if content["policyOrganizationId"] in (None, organization_id):
        return dict(content)
    metadata = {name: value for name, value in content["metadata"].items() if name not in POLICY_METADATA}
    return {**content, "policyId": None, "metadata": metadata}


def _limit_to_request(content: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    """Return a consent's entry without what the user allows the agent elsewhere or allowed it before."""
    if content["event"] not in CONNECTION_EVENTS or content["organizationId"] == organization_id:
        return dict(content)
    metadata = content["metadata"]
    requested = metadata.get("requestedScopes", ())
    shown = {name: value for name, value in metadata.items() if name in REQUEST_METADATA}
    if "shownScopes" in metadata:
        shown["shownScopes"] = [scope for scope in metadata["shownScopes"] if scope["id"] in requested]
    return {**content, "scopes": [scope for scope in content["scopes"] if scope in requested], "metadata": shown}
