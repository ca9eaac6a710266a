"""What may be read of an entry: by an organization its own side of it, and by nobody where another person was.

One entry may stand in two organizations' logs. Each sees what was asked and decided, and by id for whom; of the
other's policies neither sees more than the type of the rule. A consent covers all that a person allows an agent: the
organization of a service reads of it only what the request that named the service asked for.
"""

from collections.abc import Mapping
from typing import Any

from audit.events import Event

OF_THE_POLICY = frozenset({"policyName", "ruleIndex", "detail"})
# What these say of a connection goes beyond the request that named the service; a revocation ends it all.
OF_A_CONNECTION = frozenset({Event.CONSENT_APPROVED, Event.CONSENT_REPLACED, Event.CONSENT_REVOKED})
OF_THE_REQUEST = frozenset({"requestedScopes", "notGranted", "replacedBy", "reason"})
OWN_KINDS = frozenset({"agent", "developer", "service"})


def disclose_to_person(content: Mapping[str, Any], user_id: str) -> dict[str, Any]:
    """Return an entry about a person, personal data included, with the origin of that person's own acts only."""
    personal = content["personal"]
    if _is_persons_act(content, user_id):
        return dict(content)
    return {**content, "personal": {**personal, "ip": None, "userAgent": None}}


def disclose(content: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    """Return an entry's content, personal data included, as far as the organization may read it."""
    personal = content["personal"]
    shown = {
        "resource": personal.get("resource"),
        "ip": personal.get("ip") if _is_own_address(content, organization_id) else None,
        "userAgent": personal.get("userAgent") if _is_own_act(content, organization_id) else None,
    }
    content = _within_the_request(_without_foreign_policy(content, organization_id), organization_id)
    return {**content, "personal": shown}


def _is_own_address(content: Mapping[str, Any], organization_id: str) -> bool:
    """Return whether the address is one of the organization's own agents, developers or services.

    Verify records where the agent called from, whoever asked. A stock client has no organization to be told.
    """
    if content["event"] == Event.TOKEN_VERIFY:
        return bool(content["organizationId"] == organization_id)
    return _is_own_act(content, organization_id)


def _is_own_act(content: Mapping[str, Any], organization_id: str) -> bool:
    """Return whether the organization's own agent, developer or service acted.

    Anonymous callers may be a person's browser, and stock clients run on a person's machine: they are nobody's own.
    """
    kind = content["actor"]["kind"]
    if kind not in OWN_KINDS:
        return False
    if kind == "service":
        return organization_id in content["serviceOrganizationIds"]
    return bool(content["organizationId"] == organization_id)


def _is_persons_act(content: Mapping[str, Any], user_id: str) -> bool:
    """Return whether the person acted, or the developer that the person is: `developerId` names whose entry it is."""
    actor = content["actor"]
    if actor["kind"] == "developer":
        return bool(content["userId"] == user_id and actor["id"] == content["metadata"].get("developerId"))
    return bool(actor["kind"] == "user" and actor["id"] == user_id)


def _without_foreign_policy(content: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    if content["policyOrganizationId"] in (None, organization_id):
        return dict(content)
    metadata = {name: value for name, value in content["metadata"].items() if name not in OF_THE_POLICY}
    return {**content, "policyId": None, "metadata": metadata}


def _within_the_request(content: Mapping[str, Any], organization_id: str) -> dict[str, Any]:
    """Return a consent's entry without what the person allows the agent elsewhere, or allowed it before."""
    if content["event"] not in OF_A_CONNECTION or content["organizationId"] == organization_id:
        return dict(content)
    metadata = content["metadata"]
    requested = metadata.get("requestedScopes", ())
    shown = {name: value for name, value in metadata.items() if name in OF_THE_REQUEST}
    if "shownScopes" in metadata:
        shown["shownScopes"] = [scope for scope in metadata["shownScopes"] if scope["id"] in requested]
    return {**content, "scopes": [scope for scope in content["scopes"] if scope in requested], "metadata": shown}
