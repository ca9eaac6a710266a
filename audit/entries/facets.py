"""Facets: what else of an entry readers filter by, besides its columns."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from audit.entries.drafts import OWN_REQUEST_ID, POLICY

# The last digits of our request ids are random.
MARK_DIGITS = 8


class Facets(NamedTuple):
    """The values of an entry, without those that only some of its readers may see.

    `actors` are the kind and the id of the actor, and the resource server that is concerned. `actions` are the action
    and the scopes. `rules` are the type of the rule and the reason. `policy` is `owned(...)`, or empty. `request_id` is
    empty, too, if the caller chose it: that is personal data, so nothing of it may outlast an erasure.
    """

    actors: tuple[str, ...]
    actions: tuple[str, ...]
    rules: tuple[str, ...]
    policy: str
    request_id: str


def facets_of(content: Mapping[str, Any], withheld: Mapping[str, Any]) -> Facets:
    """Return the facets of an entry, given its record or the content of its draft."""
    actor, metadata, policy = content["actor"], content["metadata"], withheld.get(POLICY)
    action, scopes = content["action"], content["scopes"]
    return Facets(
        _distinct(actor["kind"], actor["id"], metadata.get("resourceServerId")),
        _distinct(action, *scopes),
        _distinct(metadata.get("ruleType"), content["reason"]),
        owned(policy["policyOrganizationId"] or content["organizationId"], policy["policyId"]) if policy else "",
        content["requestId"] if is_own(content["requestId"]) else "",
    )


def owned(organization_id: str | None, policy_id: str) -> str:
    """Return what is searched for a policy. Only the organization that owns the policy can name it."""
    return f"{organization_id}/{policy_id}"


def is_own(request_id: str | None) -> bool:
    """Return whether the server made this request id."""
    return bool(request_id and OWN_REQUEST_ID.fullmatch(request_id))


def mark_of(request_id: str) -> int:
    """Return 32 bits of a request id of our own, or 0 for an empty one."""
    return (int(request_id[-MARK_DIGITS:], 16) or 1) if request_id else 0


def _distinct(*values: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys([one for one in values if one]))
