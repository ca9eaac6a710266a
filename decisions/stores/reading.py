"""What to read for a batch, and the facts about each of its questions."""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from decisions.facts import (
    AgentFacts,
    CallerFacts,
    CounterFacts,
    PolicyFacts,
    ServiceFacts,
    TokenFacts,
)
from decisions.judgement import Found
from decisions.memory import LIBRARY, Versioned
from decisions.questions import Question
from decisions.stores.statements import Statement, Step
from limits.sliding_window import LoadedCounter
from policies.books import PolicyBook, PolicyRow, compile_book


def ask_facts(questions: Sequence[Question], counters: Collection[str]) -> list[Step]:
    """Return the steps that read the facts of a batch, in one trip."""
    tokens = {question.claims.token_id for question in questions if question.claims}
    secrets = {question.request.credential.digest for question in questions if question.request.credential}
    names = {question.named_audience for question in questions if question.named_audience}
    steps = [Step(Statement.HOLD)]
    for statement, keys in ((Statement.TOKENS, tokens), (Statement.CALLERS, secrets), (Statement.SERVICES, names)):
        if keys:
            steps.append(Step(statement, (list(keys),)))
    if counters:
        steps.append(read_counters(counters))
    return steps


def ask_further(questions: Sequence[Question], facts: "Facts") -> list[Step]:
    """Return the steps that read what the facts have shown to be needed: agents of deleted tokens, and policies."""
    claims = [question.claims for question in questions if question.claims]
    clients = {each.client_id for each in claims if each.token_id not in facts.tokens}
    organizations = facts.organizations_without_book()
    steps = [Step(Statement.AGENTS, (list(clients),))] if clients else []
    return [*steps, Step(Statement.POLICIES, (list(organizations),))] if organizations else steps


def read_counters(keys: Collection[str]) -> Step:
    return Step(Statement.COUNTERS, (sorted(keys),))


class Facts:
    """Everything that a batch has read, by the keys of its questions."""

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self.tokens: dict[str, TokenFacts] = {}
        self.callers: dict[str, CallerFacts] = {}
        self.services: dict[str, ServiceFacts] = {}
        self.agents: dict[str, AgentFacts] = {}
        self.counters: dict[str, CounterFacts] = {}
        self._books: dict[str, PolicyBook] = {}
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
            case AgentFacts():
                self.agents = {row.client_id: row for row in rows}
            case CounterFacts():
                self.counters = {row.key: row for row in rows}
            case PolicyFacts():
                self._compile(rows)

    def _compile(self, rows: Sequence[PolicyFacts]) -> None:
        for organization_id, own in groupby(rows, key=attrgetter("organization_id")):
            first, *others = own
            policies = [PolicyRow._make(row[2:]) for row in (first, *others) if row.policy_id is not None]
            book = compile_book(policies, previous=LIBRARY.latest(organization_id))
            self._books[organization_id] = book
            LIBRARY.add(organization_id, first.policy_version, book)

    def organizations_without_book(self) -> set[str]:
        """Return the organizations whose policies may apply and are not known in their current version."""
        rows: list[Versioned] = [*self.tokens.values(), *self.callers.values(), *self.services.values()]
        missing = set()
        for row in rows:
            if row.organization_id is None:
                continue
            book = LIBRARY.current(row)
            if book is None:
                missing.add(row.organization_id)
            else:  # the library may forget it before it is used
                self._books[row.organization_id] = book
        return missing

    def about(self, question: Question) -> Found:
        """Return what was found for one question."""
        credential, claims = question.request.credential, question.claims
        caller = self.callers.get(credential.digest) if credential else None
        service = caller.service if caller else self.services.get(question.named_audience or "")
        token = self.tokens.get(claims.token_id) if claims else None
        agent = self.agents.get(claims.client_id) if claims and token is None else None
        return Found(token, agent, caller, service, self._book(token), self._book(service))

    def load_counters(self, windows: Mapping[str, int]) -> dict[str, LoadedCounter]:
        """Return the counters with these keys and windows, in seconds. One that was not read is empty."""
        return {key: self._load(key, window) for key, window in windows.items()}

    def _load(self, key: str, window_seconds: int) -> LoadedCounter:
        row = self.counters.get(key)
        if row is None:
            return LoadedCounter(key, window_seconds)
        return LoadedCounter.unpack(key, window_seconds, row.slot, row.counts)

    def _book(self, row: Versioned | None) -> PolicyBook | None:
        """Return the policies of a row's organization. Raises `LookupError` if they were not read."""
        if row is None or row.organization_id is None:
            return None
        book = self._books.get(row.organization_id)
        if book is None:
            raise LookupError(f"The policies of {row.organization_id} were not read.")
        return book
