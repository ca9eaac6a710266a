"""The terms of a connection, compiled: how its user bounds what they granted (`consent.models.Consent.terms`).

Terms that cannot be read deny.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from decisions.facts import MAX_PARSED, TokenFacts
from policies.engine import CompiledPolicy, CompiledRule, compile_rule, deny_all, retired_limits
from policies.rules import Rule, RuleContext
from policies.rules.ledger import Ledger, connection_ledger, delegation_ledger
from policies.rules.limiting import of_connection
from policies.rules.parsing import parse_rule
from resources.catalogue import LABELS
from tokens.chains import Handover

logger = logging.getLogger(__name__)

NAME = "Limits set by the user"
DELEGATED = "Limits of a delegation"
GUARD_SECONDS = 86_400


class Terms(NamedTuple):
    """`asks` are the scopes that the user must approve each time. `policies` has all other bounds, as one policy.

    `critical` are the scopes that were critical when the user granted them. `labels` and `editions` are those of
    organizations' own scopes at that time.
    """

    asks: frozenset[str] = frozenset()
    policies: tuple[CompiledPolicy, ...] = ()
    critical: frozenset[str] = frozenset()
    labels: Mapping[str, Sequence[str]] = MappingProxyType({})
    editions: Mapping[str, int] = MappingProxyType({})

    @property
    def has_flows(self) -> bool:
        """Whether a rule needs the labels of scopes."""
        return any(policy.has_flows for policy in self.policies)


NO_TERMS = Terms()

STRICT = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


def _require_label(label: str) -> str:
    if label not in LABELS:
        raise ValueError(label)
    return label


type Full[Item] = Annotated[list[Item], Field(min_length=1)]


class _Target(BaseModel):
    model_config = STRICT

    type: str
    field: str
    identifiers: Full[str]


class _History(BaseModel):
    model_config = STRICT

    edition: int
    retired: list[dict[str, Any]]


class _Stored(BaseModel):
    """The terms exactly as `consent.terms` stores them. Anything else is an error, and so denies."""

    model_config = STRICT

    modes: dict[str, Literal["ask"]] = {}
    limits: dict[str, Full[dict[str, Any]]] = {}
    guards: dict[str, str] = {}
    targets: dict[str, Full[_Target]] = {}
    labels: dict[str, Full[Annotated[str, AfterValidator(_require_label)]]] = {}
    editions: dict[str, int] = {}
    history: dict[str, _History] = {}
    critical: list[str] = []


def terms_of(token: TokenFacts, agent_id: str | None = None) -> Terms:
    """Return the terms of a token's connection. A token without a user has none.

    `agent_id` is the agent of the connection, if it handed the work to that of the token: the same counters apply.
    """
    if token.terms is None or token.terms == "{}" or token.user_id is None or token.consent_id is None:
        return NO_TERMS
    return _compile(token.terms, agent_id or token.agent_id, token.user_id, token.consent_id)


def bounds_of(handover: Handover) -> tuple[CompiledPolicy, ...]:
    """Return the limits and targets of a delegation as a policy. What cannot be read denies."""
    return _compile_bounds(handover.delegation_id, handover.limits_json, handover.targets_json)


@lru_cache(MAX_PARSED)
def _compile_bounds(delegation_id: str, limits: str, targets: str) -> tuple[CompiledPolicy, ...]:
    if limits == targets == "{}":
        return ()
    try:
        stored = _Stored.model_validate({"limits": orjson.loads(limits), "targets": orjson.loads(targets)})
        rules = [
            _compile_one(rule, scope, delegation_ledger(delegation_id, scope), index)
            for index, (scope, rule) in enumerate(_rules(stored))
        ]
    except Exception:
        logger.exception("The limits of delegation %s cannot be read and deny", delegation_id)
        return (deny_all(delegation_id, DELEGATED),)
    return (CompiledPolicy(delegation_id, DELEGATED, tuple(rules)),)


def compile_terms(text: str, agent_id: str, user_id: str, consent_id: str) -> Terms:
    """Return the terms of a connection from their JSON. Terms that cannot be read deny."""
    try:
        stored = _Stored.model_validate_json(text)
        ledgers = {
            scope: connection_ledger(agent_id, user_id, scope, kept.model_dump())
            for scope, kept in stored.history.items()
        }
        rules = [
            _compile_one(rule, scope, ledgers.get(scope) or connection_ledger(agent_id, user_id, scope), index)
            for index, (scope, rule) in enumerate(_rules(stored))
        ]
        for scope, ledger in ledgers.items():
            rules += [_for_scope(each, scope) for each in retired_limits(ledger, len(rules))]
    except Exception:
        logger.exception("The terms of consent %s cannot be read and deny", consent_id)
        return Terms(policies=(deny_all(consent_id, NAME),))
    policies = (CompiledPolicy(consent_id, NAME, tuple(rules)),) if rules else ()
    return Terms(frozenset(stored.modes), policies, frozenset(stored.critical), stored.labels, stored.editions)


_compile = lru_cache(MAX_PARSED)(compile_terms)


def _rules(stored: _Stored) -> Iterator[tuple[str, Rule]]:
    """Yield each rule with the scope that it bounds, or "" for all."""
    for scope, rules in stored.limits.items():
        for rule in rules:
            yield scope, of_connection(parse_rule(rule))
    for scope, targets in stored.targets.items():
        yield from ((scope, parse_rule(rule)) for rule in _target_rules(targets))
    for guard, then in stored.guards.items():
        yield "", parse_rule({"type": guard, "config": {"windowSeconds": GUARD_SECONDS, "then": then}})


def _target_rules(targets: Sequence[_Target]) -> Iterator[dict[str, Any]]:
    """Yield a rule for each field: it must name one of the identifiers that the user picked for it."""
    by_field: dict[str, list[str]] = {}
    for target in targets:
        by_field.setdefault(target.field, []).extend(target.identifiers)
    for field, identifiers in by_field.items():
        condition = {"field": field, "operator": "in", "values": identifiers}
        yield {"type": "context_match", "config": {"conditions": [condition]}}


def _compile_one(rule: Rule, scope: str, ledger: Ledger, index: int) -> CompiledRule:
    compiled = compile_rule(rule, ledger, index)
    return _for_scope(compiled, scope) if scope else compiled


def _for_scope(compiled: CompiledRule, scope: str) -> CompiledRule:
    own = compiled.concerns
    return replace(compiled, concerns=partial(_concerns, scope, own) if own else partial(_asks_for, scope))


def _asks_for(scope: str, ctx: RuleContext) -> bool:
    return scope in ctx.asked


def _concerns(scope: str, own: Any, ctx: RuleContext) -> bool:
    return scope in ctx.asked and own(ctx)
