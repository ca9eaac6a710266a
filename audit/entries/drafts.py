"""Drafts: new entries as the code that acts describes them. Preparing them needs no database.

A prepared draft has its facts in three places: `content` is shown to every reader of the entry, `personal` can be
erased, and `withheld` is shown only to those whom it concerns (`audit.readers.disclosure`).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from audit.entries.subjects import is_about_another
from audit.events import Event, Outcome
from core.actor import Actor
from core.chains import Link
from core.clock import rfc3339
from core.ids import new_id
from core.text import plain_text

FORMAT_VERSION = 1
# Only entries of delegated calls and of delegations are of this version, which has a `chain`.
CHAINED_VERSION = 2
# Personal facts with a part of their own, because their readers differ. All others are in the part `call`.
REASON = "reason"
REQUEST_ID = "requestId"
AMOUNT = "amount"
PARTS = ("ip", "userAgent", "resource", AMOUNT, REASON, REQUEST_ID)
# What these say of the person who acts must not be under the key of someone else.
ACTORS_OWN = frozenset({"ip", "userAgent", REQUEST_ID})
# All other reasons in the metadata are what a person typed.
MACHINE_REASONS = frozenset({"account_reclaimed", "account_erased", "agent_deleted", "ended_by_owner"})
OWN_REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")
CALL = "call"
# In the part `call`, in the place of `context`, which is what the service sent: what we say of one that is too long.
SHORTENED = "shortenedContext"
POLICY = "policy"
CONNECTION = "connection"
SERVICES = "services"
POLICY_METADATA = frozenset({"policyName", "ruleIndex", "detail"})
# Entries of these events describe the whole connection, not only the request that named the service.
CONNECTION_EVENTS = frozenset(
    {Event.CONSENT_APPROVED, Event.CONSENT_NARROWED, Event.CONSENT_REPLACED, Event.CONSENT_REVOKED}
)
REQUEST_METADATA = frozenset({"requestedScopes", "notGranted", "replacedBy", "reason"})


class Draft(NamedTuple):
    """A new entry. `resource`, `personal` and the actor's IP address and user agent can be erased later.

    If an administrator types a reason about a user, the entry has the reason, but not the administrator's address.

    `organization_id` is the organization that acts or whose agent acts; `service_organization_ids` are those whose
    services are concerned, and those of the `chain` are its agents'. The log of each contains the entry.
    """

    event: Event
    actor: Actor
    outcome: Outcome = Outcome.INFO
    organization_id: str | None = None
    service_organization_ids: Sequence[str] = ()
    user_id: str | None = None
    agent_id: str | None = None
    consent_id: str | None = None
    policy_id: str | None = None
    policy_organization_id: str | None = None
    reason: str | None = None
    action: str | None = None
    scopes: Sequence[str] = ()
    resource: str | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})
    personal: Mapping[str, Any] = MappingProxyType({})
    chain: Sequence[Link] = ()


class Prepared(NamedTuple):
    """A draft with an id and a time. `personal` and `withheld` have a value for each part."""

    content: dict[str, Any]
    personal: dict[str, Any]
    withheld: dict[str, Any]

    @property
    def id(self) -> str:
        entry_id: str = self.content["id"]
        return entry_id

    @property
    def organization_ids(self) -> list[str]:
        return organizations_of(self.content, self.withheld)


def prepare(drafts: Sequence[Draft], at: datetime) -> list[Prepared]:
    """Return the drafts, in order, as entries of events at the moment `at`."""
    timestamp = rfc3339(at)
    return [_prepare(draft, timestamp) for draft in drafts]


def organizations_of(content: Mapping[str, Any], withheld: Mapping[str, Any]) -> list[str]:
    """Return the organizations whose log contains the entry, first the one that acted or whose agent acted."""
    own, services = content["organizationId"], withheld.get(SERVICES, content["serviceOrganizationIds"])
    above = [link["organizationId"] for link in content["chain"]] if "chain" in content else ()
    return list(dict.fromkeys(one for one in (own, *above, *services) if one))


def _prepare(draft: Draft, timestamp: str) -> Prepared:
    content = _content(draft, timestamp)
    personal = _personal(draft, _take_typed(content))
    if is_about_another(content):
        personal = {name: value for name, value in personal.items() if name not in ACTORS_OWN}
    withheld: dict[str, Any] = {}
    if draft.policy_id is not None:
        withheld[POLICY] = _take_policy(content, draft)
    if draft.event in CONNECTION_EVENTS:
        withheld[CONNECTION] = _take_connection(content)
    if len(content["serviceOrganizationIds"]) > 1:
        # None of them may learn which other services the user uses.
        withheld[SERVICES], content["serviceOrganizationIds"] = content["serviceOrganizationIds"], []
    return Prepared(content, personal, withheld)


def _content(draft: Draft, timestamp: str) -> dict[str, Any]:
    actor = draft.actor
    chain = {"chain": [_describe(link) for link in draft.chain]} if draft.chain else {}
    return {
        "v": CHAINED_VERSION if draft.chain else FORMAT_VERSION,
        "id": new_id("log"),
        "timestamp": timestamp,
        "event": draft.event.value,
        "outcome": draft.outcome.value,
        "reason": None if draft.reason is None else str(draft.reason),
        "organizationId": draft.organization_id,
        "serviceOrganizationIds": sorted(set(draft.service_organization_ids)),
        "actor": {"kind": actor.kind, "id": actor.id},
        "userId": draft.user_id,
        "agentId": draft.agent_id,
        "consentId": draft.consent_id,
        "action": None if draft.action is None else str(draft.action),
        "scopes": list(draft.scopes),
        "requestId": actor.request_id or None,
        "metadata": _plain(draft.metadata),
        **chain,
    }


def _describe(link: Link) -> dict[str, Any]:
    return {
        "agentId": link.agent_id,
        "delegationId": link.delegation_id,
        "organizationId": link.organization_id,
    }


def _personal(draft: Draft, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the personal parts that have a value, in the order of their digests."""
    actor = draft.actor
    return personal_parts(actor.ip, actor.user_agent, draft.resource, {**draft.personal, **typed})


def personal_parts(ip: str | None, user_agent: str, resource: str | None, others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the personal parts that have a value, in the order of their digests, of the actor and `others`."""
    facts = {"ip": ip, "userAgent": user_agent or None, "resource": resource, **others}
    parts = {name: facts[name] for name in PARTS if facts.get(name) is not None}
    call = {name: value for name, value in facts.items() if name not in PARTS and value not in (None, {})}
    return {**parts, CALL: call} if call else parts


def _take_typed(content: dict[str, Any]) -> dict[str, str]:
    """Move what a person typed, which may name a person, out of the content: a foreign request id, a reason."""
    typed = {}
    request_id, reason = content["requestId"], content["metadata"].get("reason")
    if request_id and not OWN_REQUEST_ID.fullmatch(request_id):
        typed[REQUEST_ID], content["requestId"] = request_id, None
    if reason is not None and content["userId"] and reason not in MACHINE_REASONS:
        typed[REASON], content["metadata"] = reason, {**content["metadata"], "reason": None}
    return typed


def _take_policy(content: dict[str, Any], draft: Draft) -> dict[str, Any]:
    """Move what only the policy's organization may read out of the content."""
    metadata = content["metadata"]
    content["metadata"] = {name: value for name, value in metadata.items() if name not in POLICY_METADATA}
    hidden = {name: value for name, value in metadata.items() if name in POLICY_METADATA}
    return {"policyId": draft.policy_id, "policyOrganizationId": draft.policy_organization_id, **hidden}


def _take_connection(content: dict[str, Any]) -> dict[str, Any]:
    """Leave in the content only what the request asked for, and return the whole."""
    scopes, metadata = content["scopes"], content["metadata"]
    requested = metadata.get("requestedScopes", ())
    content["scopes"] = [scope for scope in scopes if scope in requested]
    content["metadata"] = {name: value for name, value in metadata.items() if name in REQUEST_METADATA}
    if "shownScopes" in metadata:
        content["metadata"]["shownScopes"] = [one for one in metadata["shownScopes"] if one["id"] in requested]
    return {"scopes": scopes, "metadata": metadata}


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata with `reason` made safe to display: an administrator typed it."""
    return {name: plain_text(value) if name == "reason" else value for name, value in metadata.items()}
