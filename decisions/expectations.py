"""Which counters a batch will probably need.

They are locked together with the reading of the facts, before it is known which limits apply. A wrong guess costs time
but no correctness: unneeded counters stay unchanged, and if one is missing, the transaction starts again.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf
from typing import NamedTuple

from decisions.facts import ServiceFacts, TokenFacts
from decisions.memory import POLICY_SETS, Bounded
from decisions.questions import Question
from decisions.requests import Credential
from policies.policy_sets import PolicySet
from policies.rules import RuleContext
from policies.rules.data_flow import connection_of, is_task_key, task_key

MAX_TOKENS = 50_000
MAX_AGENTS = 10_000
MAX_SERVICES = 10_000
MAX_TASKS = 50_000
# Callers choose the audience. Two with the same beginning only spoil each other's guesses.
MAX_KEY_LENGTH = 200

# Per token. More are needed only if policies change while it is valid, or by hundreds of policies.
MAX_COUNTERS = 1000

Keys = tuple[str, ...]

# By token and asking service: the counters that were needed last.
_needed: Bounded[tuple[str, str], Keys] = Bounded(MAX_TOKENS)
# By client id: the agent and its organization.
_agents: Bounded[str, tuple[str, str | None]] = Bounded(MAX_AGENTS)
# The rows of tasks that exist, unless they have been swept.
_tasks_seen: Bounded[str, bool] = Bounded(MAX_TASKS)
# By the digest of its secret, or named audience: the service's organization.
_services: Bounded[str, str] = Bounded(MAX_SERVICES)


class Expected(NamedTuple):
    """The keys of the counters to lock for the first `number` questions, and those of them that may not exist yet."""

    number: int
    keys: set[str]
    new: set[str]


def expected_counters(questions: Sequence[Question], now: datetime, most: float = inf) -> Expected:
    """Return the counters to lock for the first questions, at least one, that need about this many."""
    known: set[str] = set()
    new: set[str] = set()
    foreseen: set[tuple[str, str]] = set()
    for number, question in enumerate(questions):
        if number and len(known) + len(new) >= most:
            return Expected(number, known | new, new)
        if question.claims is None or question.request.is_introspection:
            continue
        asking = question.claims.token_id, service_key(question)
        needed = _needed.get(asking)
        if needed is None and asking not in foreseen:
            foreseen.add(asking)
            new.update(_foreseen(question, now))
        elif needed is not None:
            known.update(needed)
            for key in _tasks(question, needed):
                (known if key in _tasks_seen else new).add(key)
    return Expected(len(questions), known | new, new)


def learn(question: Question, token: TokenFacts, keys: Keys) -> None:
    """Remember the counters, by key, that an allowed question about a stored token needed, beside earlier ones.

    Counters of tasks are left out, because there may be any number. Their keys follow from the connection and the
    question.
    """
    key = (token.token_id, service_key(question))
    known = _needed.get(key)
    if keys == known:
        return
    needed = []
    for name in keys:
        if is_task_key(name):
            _tasks_seen[name] = True
        else:
            needed.append(name)
    if known is not None and set(needed).issubset(known):
        return
    _needed[key] = tuple(dict.fromkeys((*needed, *(known or ()))))[:MAX_COUNTERS]


def see(question: Question, token: TokenFacts, service: ServiceFacts | None) -> None:
    """Remember the organizations of a question about a stored token."""
    agent = token.agent_id, token.organization_id
    if _agents.get(token.client_id) != agent:
        _agents[token.client_id] = agent
    if service is not None:
        key = service_key(question)
        if _services.get(key) != service.organization_id:
            _services[key] = service.organization_id


def turn_of(question: Question) -> str:
    """Return the organization last seen for the token's client or, for a stock client, for the service.

    An organization's turn is taken only by a token of its agents, a token for its service, or its service's secret. All
    other questions share the turn of "".
    """
    claims, credential = question.claims, question.request.credential
    agent_id, organization_id = (claims and _agents.get(claims.client_id)) or ("", None)
    if organization_id:
        return organization_id
    is_for_service = claims is not None and agent_id and question.named_audience in claims.audience
    return (_services.get(service_key(question)) if credential or is_for_service else None) or ""


def proved_organization(credential: Credential) -> str | None:
    """Return the organization of a service whose secret was right at some time, though it may have ended since."""
    return _services.get(credential.digest)


def _tasks(question: Question, needed: Keys) -> Iterable[str]:
    """Yield the rows of the question's task in the guards against data flows."""
    task = question.request.context.get("task")
    if isinstance(task, str):
        yield from (task_key(name, task) for name in dict.fromkeys(map(connection_of, needed)) if name is not None)


def service_key(question: Question) -> str:
    """Return what identifies the service of a question: the digest of its secret, the named audience, or "".

    Not the id that was sent with the secret: it is public, so strangers can send it.
    """
    credential = question.request.credential
    return credential.digest if credential else (question.named_audience or "")[:MAX_KEY_LENGTH]


def _foreseen(question: Question, now: datetime) -> Iterable[str]:
    """Yield the counters of all limits that could apply to a token that was not seen before."""
    claims = question.claims
    if claims is None or claims.client_id not in _agents:
        return
    agent_id, organization_id = _agents[claims.client_id]
    context = RuleContext(now=now, agent_id=agent_id, user_id=claims.user_id, organization_id=organization_id)
    for policy_set in _policy_sets((organization_id, _services.get(service_key(question)))):
        for policy in policy_set.for_agent(agent_id):
            for rule in policy.rules:
                for request in rule.counters(context) if rule.counters else ():
                    yield from request.keys


def _policy_sets(organization_ids: Sequence[str | None]) -> Iterable[PolicySet]:
    return [POLICY_SETS.latest(each) for each in dict.fromkeys(organization_ids)]
