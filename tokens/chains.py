"""What a delegated token depends on besides its own rows: each delegation of its chain, as it is now.

Verify and the issuing of tokens read the same columns, and judge them by the same functions. Nothing is copied down a
chain, so what ends or narrows one delegation ends or narrows all below it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from django.db.models import QuerySet

from agents.stops import find_stopper
from consent.models import Consent
from core.chains import Link
from tokens.models import Delegation

MAX_PARSED = 16_384

READ = ("consent", "from_family", "from_agent__organization", "to_agent__organization")

ENDED = "The delegation, or one above it, has ended."


class Handover(NamedTuple):
    """A delegation, with the agent that hands over, that agent's tokens and organization, and who receives it.

    `mode` is that of the consent (`Consent.Delegation`). Names that end in `_json` are JSON: lists of scopes, or parts
    of terms (`consent.terms`). The names and types of the fields are the columns of `columns`, in order.
    """

    delegation_id: str
    parent_id: str | None
    is_ended: bool
    expires_at: datetime
    scopes_json: str
    targets_json: str
    limits_json: str
    task: str
    mode: str
    family_id: str
    is_family_revoked: bool
    family_scope: str
    removed_scopes_json: str
    agent_id: str
    client_id: str
    agent_status: str
    is_agent_stopped: bool
    allowed_scopes_json: str
    organization_id: str | None
    is_organization_suspended: bool | None
    is_organization_stopped: bool | None
    policy_version: str | None
    receiving_organization_id: str | None
    is_receiver_verified: bool | None

    @property
    def may_act(self) -> bool:
        """Whether the agent that hands over may act itself."""
        stopper = find_stopper(
            organization_suspended=bool(self.is_organization_suspended),
            organization_stopped=bool(self.is_organization_stopped),
            is_stopped=self.is_agent_stopped,
            status=self.agent_status,
        )
        return stopper is None

    @property
    def targets(self) -> Mapping[str, Any]:
        """The targets to which it bounds scopes."""
        return _parse_parts(self.targets_json)

    @property
    def scopes(self) -> Sequence[str]:
        """The scopes that it covers."""
        return _parse_names(self.scopes_json)

    def has_lost(self, scope: str) -> bool:
        """Return whether the user has taken the scope from the agent that hands over."""
        return scope in _parse_names(self.removed_scopes_json)

    def grants(self, scope: str) -> bool:
        """Return whether it covers the scope, and the agent that hands over has it itself."""
        return (
            scope in self.scopes
            and scope in self.family_scope.split()
            and not self.has_lost(scope)
            and scope in _parse_names(self.allowed_scopes_json)
        )


def rows(*, text: str, time: str) -> str:
    """Return the columns and tables that make up a `Handover`, for one kind of database.

    `text` and `time` are appended to columns with JSON and with times. The alias of the delegation is `handed`.
    """
    return f"""
        SELECT handed.id, handed.parent_id, handed.ended_at IS NOT NULL, handed.expires_at{time},
            handed.scopes{text}, handed.targets{text}, handed.limits{text}, handed.task, consent.delegation,
            family.id, family.revoked_at IS NOT NULL, family.scope, family.removed_scopes{text},
            agent.id, agent.client_id, agent.status, agent.stopped_at IS NOT NULL, agent.allowed_scopes{text},
            organization.id, organization.suspended_at IS NOT NULL,
            organization.stopped_at IS NOT NULL OR organization.deletes_at IS NOT NULL, organization.policy_version,
            receiving.id, receiving.is_verified
        FROM tokens_delegation AS handed
        JOIN consent_consent AS consent ON consent.id = handed.consent_id
        JOIN tokens_tokenfamily AS family ON family.id = handed.from_family_id
        JOIN agents_agent AS agent ON agent.id = handed.from_agent_id
        JOIN agents_agent AS receiver ON receiver.id = handed.to_agent_id
        LEFT JOIN developers_organization AS organization ON organization.id = agent.organization_id
        LEFT JOIN developers_organization AS receiving ON receiving.id = receiver.organization_id
    """  # noqa: S608


def read_chain(delegation: Delegation) -> list[Handover]:
    """Return the delegations of its path that exist, from the first agent to this delegation."""
    by_id = read_handovers(delegation.path)
    return [by_id[one] for one in delegation.path if one in by_id]


def read_handovers(ids: Iterable[str], known: Iterable[Delegation] = ()) -> dict[str, Handover]:
    """Return the delegations that exist, by id. Those of `known` have been read, with what `READ` names."""
    found = {row.id: _handover(row) for row in known}
    missing = {*ids}.difference(found)
    rows = Delegation.objects.filter(pk__in=missing).select_related(*READ) if missing else ()
    return found | {row.id: _handover(row) for row in rows}


def read_chains(delegations: QuerySet[Delegation]) -> list[tuple[Delegation, list[Handover]]]:
    """Return the delegations, each after those above it, with their chains.

    A delegation is left out if one above it is not among them.
    """
    rows = sorted(delegations.select_related(*READ), key=lambda row: row.depth)
    by_id = {row.id: _handover(row) for row in rows}
    return [(row, [by_id[one] for one in row.path]) for row in rows if by_id.keys() >= {*row.path}]


def _handover(row: Delegation) -> Handover:
    family, agent, receiving = row.from_family, row.from_agent, row.to_agent.organization
    organization = agent.organization
    return Handover(
        delegation_id=row.id,
        parent_id=row.parent_id,
        is_ended=row.ended_at is not None,
        expires_at=row.expires_at,
        scopes_json=_encode(row.scopes),
        targets_json=_encode(row.targets),
        limits_json=_encode(row.limits),
        task=row.task,
        mode=row.consent.delegation,
        family_id=family.id,
        is_family_revoked=family.revoked_at is not None,
        family_scope=family.scope,
        removed_scopes_json=_encode(family.removed_scopes),
        agent_id=agent.id,
        client_id=agent.client_id,
        agent_status=agent.status,
        is_agent_stopped=agent.is_stopped,
        allowed_scopes_json=_encode(agent.allowed_scopes),
        organization_id=organization.id if organization else None,
        is_organization_suspended=organization is not None and not organization.may_act,
        is_organization_stopped=organization is not None and organization.is_stopped,
        policy_version=organization.policy_version if organization else None,
        receiving_organization_id=receiving.id if receiving else None,
        is_receiver_verified=receiving.is_verified if receiving else None,
    )


def _encode(value: Any) -> str:
    return orjson.dumps(value).decode()


def is_chain_live(ids: Sequence[str], chain: Sequence[Handover], now: datetime) -> bool:
    """Return whether each delegation of the path `ids` still holds. `chain` are those that were found, in order."""
    if [each.delegation_id for each in chain] != list(ids):
        return False
    above = [None, *ids]
    return all(
        each.parent_id == parent and _is_live(each, chain[0].organization_id, now)
        for each, parent in zip(chain, above, strict=False)
    )


def is_permitted(mode: str, root: str | None, receiver: str | None, *, is_verified: bool) -> bool:
    """Return whether the user lets the first agent's organization `root` hand work to an agent of `receiver`.

    Agents without an organization neither give nor take.
    """
    if root is None or receiver is None:
        return False
    if mode == Consent.Delegation.DEVELOPER:
        return receiver == root
    return mode == Consent.Delegation.VERIFIED and (receiver == root or is_verified)


def narrow_scopes(chain: Iterable[Handover], scopes: Iterable[str], targets: Mapping[str, Any]) -> tuple[str, ...]:
    """Return those of the scopes that every delegation of the chain covers, and that have a target left if bounded.

    `targets` are the user's.
    """
    chain = tuple(chain)
    return _with_targets(chain, [scope for scope in scopes if all(each.grants(scope) for each in chain)], targets)


def narrow_grant(chain: Sequence[Handover], granted: Collection[str], targets: Mapping[str, Any]) -> tuple[str, ...]:
    """Return those of the last delegation's scopes that the user still grants to the chain, with targets left.

    `granted` and `targets` are the user's. What developers have taken from their agents may return, so it counts.
    """
    scopes = chain[-1].scopes if chain else ()
    kept = [scope for scope in scopes if scope in granted and not any(each.has_lost(scope) for each in chain)]
    return _with_targets(chain, kept, targets)


def narrow_targets(
    chain: Iterable[Handover], targets: Mapping[str, Any], scopes: Collection[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the targets of the scopes that the user and every delegation of the chain allow."""
    found = {scope: [dict(target) for target in targets[scope]] for scope in scopes if scope in targets}
    for each in chain:
        for scope, bounds in each.targets.items():
            if scope in scopes:
                found[scope] = _intersect(found[scope], bounds) if scope in found else [dict(one) for one in bounds]
    return found


def links_of(chain: Sequence[Handover], agent_id: str, organization_id: str | None) -> tuple[Link, ...]:
    """Return the links of a chain that ends with this agent, or nothing if nothing was handed over."""
    if not chain:
        return ()
    ids = [None, *(each.delegation_id for each in chain)]
    agents = [*((each.agent_id, each.organization_id) for each in chain), (agent_id, organization_id)]
    return tuple(Link(agent, delegation, owner) for delegation, (agent, owner) in zip(ids, agents, strict=True))


def _with_targets(chain: Sequence[Handover], scopes: Sequence[str], targets: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the scopes that have no targets, and those that have a target left."""
    left = narrow_targets(chain, targets, scopes)
    return tuple(scope for scope in scopes if all(target["identifiers"] for target in left.get(scope, ())))


def _is_live(each: Handover, root: str | None, now: datetime) -> bool:
    if each.is_ended or each.expires_at <= now or each.is_family_revoked or not each.may_act:
        return False
    return is_permitted(each.mode, root, each.receiving_organization_id, is_verified=bool(each.is_receiver_verified))


def _intersect(earlier: Sequence[Mapping[str, Any]], bounds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the targets with only the identifiers that both allow for a field."""
    allowed: dict[str, set[str]] = {}
    for target in bounds:
        allowed.setdefault(target["field"], set()).update(target["identifiers"])
    fields = {target["field"] for target in earlier}
    both = [
        {**target, "identifiers": [one for one in target["identifiers"] if one in allowed[target["field"]]]}
        if target["field"] in allowed
        else dict(target)
        for target in earlier
    ]
    return both + [dict(target) for target in bounds if target["field"] not in fields]


@lru_cache(MAX_PARSED)
def _parse_names(text: str) -> tuple[str, ...]:
    """Return the strings of a JSON list. Anything else is an empty list, which grants nothing."""
    found = orjson.loads(text)
    return tuple(name for name in found if isinstance(name, str)) if isinstance(found, list) else ()


@lru_cache(MAX_PARSED)
def _parse_parts(text: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = orjson.loads(text)
    return found
