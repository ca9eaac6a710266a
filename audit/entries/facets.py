"""Facets: what else of an entry readers filter by, besides its columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from audit.entries.drafts import OWN_REQUEST_ID, POLICY, organizations_of
from audit.entries.requests import EVENTS, find_step

# The last digits of our request ids are random.
MARK_DIGITS = 8
# What is searched for entries without an agent.
NO_AGENT = "-"
# Who decided in place of a policy of the organization: a limit of the user or of a delegation, a policy of another
# organization, or no rule, because the user must approve each use of the scope.
USER, DELEGATION, OTHERS, NO_RULE = "user", "delegation", "others", "none"
# Why a request is denied that the user must approve first: a question rather than a refusal.
ASKED = "approval_required"
# The reasons that a policy or a limit gives, and the only ones without either that `NO_RULE` tells apart.
RULE_REASONS = frozenset({"policy_denied", ASKED})
# The reasons after which the client needs a new token (RFC 6750 section 3.1). `invalid_token` leaves no entry.
TOKEN_REASONS = frozenset({"token_expired", "token_revoked", "wrong_audience"})
DECLINED = "declined"
# The member of the metadata with the scopes under which an entry is found and counted, if these are not all. Callers
# can make scopes up, and each would be a word of the index. `OTHER_SCOPES` stands for the rest.
INDEXED_SCOPES = "indexedScopes"
OTHER_SCOPES = "(other)"


class Facets(NamedTuple):
    """The values of an entry, without those that only some of its readers may see.

    `actors` are the kind and the id of the actor, and the resource server that is concerned. `scopes` are those of
    `indexed_scopes`, and `actions` the action and these scopes. `rules` are the type of the rule and the reason.
    `deciders` are `USER`, `DELEGATION` or `NO_RULE`, or what each organization may know of the policy, as `owned(...)`.
    `steps` are the step of a request for consent and the scopes that the user left out, `owned(...)` by the
    organization that asked. `request_id` is empty if the caller chose it: that is personal data, so nothing of it may
    outlast an erasure. `chain` are the agents that took part and the delegations by which they did.
    """

    actors: tuple[str, ...]
    actions: tuple[str, ...]
    scopes: tuple[str, ...]
    rules: tuple[str, ...]
    deciders: tuple[str, ...]
    steps: tuple[str, ...]
    request_id: str
    chain: tuple[str, ...]


def facets_of(content: Mapping[str, Any], withheld: Mapping[str, Any]) -> Facets:
    """Return the facets of an entry, given its record or the content of its draft."""
    actor, metadata = content["actor"], content["metadata"]
    action, scopes = content["action"], indexed_scopes(content)
    return Facets(
        _distinct(actor["kind"], actor["id"], metadata.get("resourceServerId")),
        _distinct(action, *scopes),
        scopes,
        _distinct(metadata.get("ruleType"), content["reason"]),
        tuple(_deciders(content, withheld)) if content["reason"] in RULE_REASONS or POLICY in withheld else (),
        tuple(_steps(content, withheld)) if content["event"] in EVENTS else (),
        content["requestId"] if is_own(content["requestId"]) else "",
        _distinct(content["agentId"], *(_chain_of(content["chain"]) if "chain" in content else ())),
    )


def indexed_scopes(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the scopes under which an entry is found and counted, given its record or the content of its draft."""
    indexed = content["metadata"].get(INDEXED_SCOPES)
    return tuple(content["scopes"]) if indexed is None else (*indexed, OTHER_SCOPES)


def owned(organization_id: str | None, value: str) -> str:
    """Return what is searched for a value that only this organization can name, such as its policy."""
    return f"{organization_id}/{value}"


def declined(scope: str) -> str:
    """Return the step, to be `owned`, of a request from which the user left this scope out."""
    return f"{DECLINED}:{scope}"


def is_own(request_id: str | None) -> bool:
    """Return whether the server made this request id."""
    return bool(request_id and OWN_REQUEST_ID.fullmatch(request_id))


def mark_of(request_id: str) -> int:
    """Return 32 bits of a request id of our own, or 0 for an empty one."""
    return (int(request_id[-MARK_DIGITS:], 16) or 1) if request_id else 0


def _deciders(content: Mapping[str, Any], withheld: Mapping[str, Any]) -> Iterator[str]:
    policy = withheld.get(POLICY)
    limited_by = content["metadata"].get("limitedBy")
    if limited_by in (USER, DELEGATION):
        yield limited_by
    elif policy is None:
        yield NO_RULE
    else:
        owner = policy["policyOrganizationId"] or content["organizationId"]
        yield owned(owner, policy["policyId"])
        yield from (owned(one, OTHERS) for one in organizations_of(content, withheld) if one != owner)


def _steps(content: Mapping[str, Any], withheld: Mapping[str, Any]) -> Iterator[str]:
    found = find_step(content, organizations_of(content, withheld))
    if found is not None:
        yield owned(found.organization_id, found.step)
        yield from (owned(found.organization_id, declined(scope)) for scope in found.declined)


def _chain_of(chain: Sequence[Mapping[str, Any]]) -> Iterator[str | None]:
    for link in chain:
        yield from (link["agentId"], link["delegationId"])


def _distinct(*values: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys([one for one in values if one]))
