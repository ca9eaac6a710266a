"""What to read for a batch, and the facts about each of its questions."""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from decisions.basis import Found, cover, forget_policies, with_action, with_scope
from decisions.facts import (
    MAX_PARSED,
    AgentFacts,
    ApprovalFacts,
    CallerFacts,
    CounterFacts,
    PolicyFacts,
    ReservedFacts,
    ScopeFacts,
    ServiceFacts,
    TokenFacts,
    is_short,
)
from decisions.indexing import unknown_scopes
from decisions.memory import POLICY_SETS, Bounded, Versioned
from decisions.questions import Question
from decisions.repeats import read_reserved
from decisions.stores.statements import Statement, Step
from decisions.terms import NO_TERMS, terms_of
from limits.flows import LoadedFlow
from limits.sliding_window import LoadedCounter
from policies.policy_sets import NO_POLICIES, PolicyRow, PolicySet, compile_policy_set
from resources.catalogue import catalogue
from resources.covers import read_actions
from tokens.access_tokens import Claims
from tokens.chains import Handover, narrow_scopes


def ask_facts(questions: Sequence[Question], counters: Collection[str]) -> list[Step]:
    """Return the steps that read the facts of a batch, in one trip."""
    tokens = {question.claims.token_id for question in questions if question.claims}
    secrets = {question.request.credential.digest for question in questions if question.request.credential}
    names = {question.named_audience for question in questions if question.named_audience}
    calls = (question.request.repeat.key for question in questions if question.request.repeat)
    handed = {one for question in questions if question.claims for one in question.claims.delegations}
    steps = [Step(Statement.HOLD), *read_reserved(calls)]
    wanted = {
        Statement.TOKENS: tokens,
        Statement.DELEGATIONS: handed,
        Statement.CALLERS: secrets,
        Statement.SERVICES: names,
    }
    for statement, keys in wanted.items():
        if keys:
            steps.append(Step(statement, (list(keys),)))
    if counters:
        steps.append(read_counters(counters))
    return steps


def ask_further(questions: Sequence[Question], facts: "Facts") -> list[Step]:
    """Return the steps that read what the facts show to be needed: agents of deleted tokens, and policies."""
    claims = [question.claims for question in questions if question.claims]
    clients = {each.client_id for each in claims if each.token_id not in facts.tokens}
    organizations = facts.organizations_to_load()
    steps = [Step(Statement.AGENTS, (list(clients),))] if clients else []
    return [*steps, Step(Statement.POLICIES, (list(organizations),))] if organizations else steps


def ask_scopes(questions: Sequence[Question], facts: "Facts") -> list[Step]:
    """Return the step that reads organizations' own scopes for questions that depend on their labels or risk.

    The log has the names of scopes that exist (`decisions.indexing`), so others that were made up are looked up, too.
    """
    known = catalogue()
    wanted = {scope for question in questions for scope in facts.scopes_to_index(question)}
    if facts.depends_on_scopes:
        wanted.update(scope for question in questions for scope in facts.scopes_to_know(question) if scope not in known)
    return [Step(Statement.SCOPES, (sorted(wanted),))] if wanted else []


def read_counters(keys: Collection[str]) -> Step:
    return Step(Statement.COUNTERS, (sorted(keys),))


_narrowed: Bounded[str, tuple[TokenFacts, tuple[Handover, ...], TokenFacts]] = Bounded(MAX_PARSED)


def _narrow(token: TokenFacts, chain: tuple[Handover, ...]) -> tuple[TokenFacts, tuple[Handover, ...]]:
    """Return a token with the scopes that its chain leaves, and the chain. The same ones are returned again."""
    earlier = _narrowed.get(token.token_id)
    if earlier is not None and earlier[0] == token and earlier[1] == chain:
        return earlier[2], earlier[1]
    scope = " ".join(narrow_scopes(chain, token.granted_scopes, token.targets))
    narrowed = token._replace(scope=scope)
    if is_short(token, *chain):
        _narrowed[token.token_id] = token, chain, narrowed
    return narrowed, chain


class Facts:
    """Everything that a batch has read, by the keys of its questions."""

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self.tokens: dict[str, TokenFacts] = {}
        self.callers: dict[str, CallerFacts] = {}
        self.services: dict[str, ServiceFacts] = {}
        self.agents: dict[str, AgentFacts] = {}
        self.handovers: dict[str, Handover] = {}
        self.counters: dict[str, CounterFacts] = {}
        self.approvals: Sequence[ApprovalFacts] = ()
        self.reserved: dict[tuple[str, int], ReservedFacts] = {}
        self._scopes: Sequence[ScopeFacts] = ()
        self._policy_sets: dict[str, PolicySet] = {}
        self.add(rows)

    def add(self, results: Sequence[Sequence[Any]]) -> None:
        """Add the rows of each step of a trip."""
        for rows in results:
            if rows:
                self._add(rows)

    def _add(self, rows: Sequence[Any]) -> None:
        match rows[0]:
            case TokenFacts():
                self.tokens = {row.token_id: row for row in rows}
            case CallerFacts():
                self.callers = {row.digest: row for row in rows}
            case ServiceFacts():
                self.services = {row.identifier: row for row in rows}
            case CounterFacts():
                self.counters |= {row.key: row for row in rows}
            case _:
                self._add_unusual(rows)

    def _add_unusual(self, rows: Sequence[Any]) -> None:
        match rows[0]:
            case Handover():
                self.handovers = {row.delegation_id: row for row in rows}
            case AgentFacts():
                self.agents = {row.client_id: row for row in rows}
            case PolicyFacts():
                self._compile(rows)
            case ScopeFacts():
                self._scopes = rows
            case ApprovalFacts():
                self.approvals = rows
            case ReservedFacts():
                self.reserved = {(row.repeat_key, row.repeat_place): row for row in rows}

    def _compile(self, rows: Sequence[PolicyFacts]) -> None:
        for organization_id, own in groupby(rows, key=attrgetter("organization_id")):
            first, *others = own
            policies = [PolicyRow._make(row[3:]) for row in others]
            actions = read_actions(first.own_scopes or "[]")
            previous = POLICY_SETS.latest(organization_id)
            policy_set = compile_policy_set(policies, previous=previous, actions=actions)
            if previous is not NO_POLICIES:
                forget_policies(previous)
            self._policy_sets[organization_id] = policy_set
            POLICY_SETS.add(organization_id, first.policy_version, policy_set)

    def organizations_to_load(self) -> set[str]:
        """Return the organizations whose policies may apply and are not known in their current version."""
        rows: list[Versioned] = [*self.tokens.values(), *self.callers.values(), *self.services.values()]
        rows += self.handovers.values()
        missing = set()
        for row in rows:
            if row.organization_id is None:
                continue
            policy_set = POLICY_SETS.current(row)
            if policy_set is None:
                missing.add(row.organization_id)
            else:  # the cache may forget it before it is used
                self._policy_sets[row.organization_id] = policy_set
        return missing

    def about(self, question: Question) -> Found:
        """Return what was found for one question."""
        credential, claims = question.request.credential, question.claims
        caller = self.callers.get(credential.digest) if credential else None
        service = caller.service if caller else self.services.get(question.named_audience or "")
        token = self.tokens.get(claims.token_id) if claims else None
        agent = self.agents.get(claims.client_id) if claims and token is None else None
        chain = self._chain_of(claims) if claims and claims.delegations else ()
        if token and chain:
            token, chain = _narrow(token, chain)
        terms = terms_of(token, chain[0].agent_id if chain else None) if token else NO_TERMS
        both = self._policies_of(token), self._policies_of(service)
        repeat = question.request.repeat
        reserved = self.reserved.get((repeat.key, repeat.place)) if repeat else None
        scopes = self._scopes_of(question, token) if self._scopes else ()
        found = Found(token, agent, caller, service, *both, terms, scopes, reserved)
        return found._replace(chain=chain, chain_policies=tuple(map(self._policies_of, chain))) if chain else found

    def _chain_of(self, claims: Claims) -> tuple[Handover, ...]:
        """Return the delegations of a token that were found, in order."""
        return tuple(self.handovers[one] for one in claims.delegations if one in self.handovers)

    def _scopes_of(self, question: Question, token: TokenFacts | None) -> Sequence[ScopeFacts]:
        """Return the organizations' own scopes that may matter for a question, and not those of others in its batch."""
        granted = token.granted_scopes if token else ()
        names = {*question.request.asked, *granted}
        return [scope for scope in self._scopes if scope.scope_id in names]

    def scopes_to_index(self, question: Question) -> Collection[str]:
        """Return the scopes of a question that may not exist."""
        claims, request = question.claims, question.request
        return unknown_scopes(request.required_scopes, self.tokens.get(claims.token_id)) if claims else ()

    @property
    def depends_on_scopes(self) -> bool:
        """Whether a question may depend on the labels or the risk of its scopes."""
        has_terms = any(token.terms not in (None, "{}") for token in self.tokens.values())
        return (
            has_terms or bool(self.handovers) or any(policy_set.has_flows for policy_set in self._policy_sets.values())
        )

    def scopes_to_know(self, question: Question) -> Collection[str]:
        """Return the scopes of a question if it matters which labels or risk they have.

        What the catalogue has is covered by what it has, so most questions need nothing else.
        """
        known = catalogue()
        if all(scope in known for scope in question.request.asked):
            return ()
        found = self.about(question)
        if found.token is None or question.request.is_introspection:
            return ()
        request = question.request
        required = with_scope(cover(question, found.token, found).scope, request.required_scopes)
        asked = with_action(required, request.action)
        return asked if found.needs_labels or found.chain else found.terms.asks.intersection(asked)

    def load_flows(self, keys: Collection[str]) -> dict[str, LoadedFlow]:
        """Return what the guards against data flows remember under these keys. Those that were not read are empty."""
        rows = {key: self.counters.get(key) for key in keys}
        return {key: LoadedFlow.unpack(key, row.counts if row else b"") for key, row in rows.items()}

    def load_counters(self, windows: Mapping[str, int]) -> dict[str, LoadedCounter]:
        """Return the counters with these keys and windows in seconds. Those that were not read are empty."""
        return {key: self._load(key, window) for key, window in windows.items()}

    def _load(self, key: str, window_seconds: int) -> LoadedCounter:
        row = self.counters.get(key)
        if row is None:
            return LoadedCounter(key, window_seconds)
        return LoadedCounter.unpack(key, window_seconds, row.slot, row.counts)

    def _policies_of(self, row: Versioned | None) -> PolicySet | None:
        """Return the policies of a row's organization. Raises `LookupError` if they were not read."""
        if row is None or row.organization_id is None:
            return None
        policy_set = self._policy_sets.get(row.organization_id)
        if policy_set is None:
            raise LookupError(f"The policies of {row.organization_id} were not read.")
        return policy_set
