"""The basis of a judgement: what follows from the facts, the scopes and the action, whatever else a request says.

The same agents ask for the same again and again, so a process remembers the bases of requests that pass all checks. One
is used only while all facts are the same: each decision compares those that its own transaction has read.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from audit.entries.templates import Template
from core.errors import DomainError
from decisions.checks import first_reason, missing_scopes
from decisions.covering import Covering, find_covering
from decisions.expectations import service_key
from decisions.facts import (
    AgentFacts,
    CallerFacts,
    ReservedFacts,
    ScopeFacts,
    ServiceFacts,
    TokenFacts,
    is_short,
)
from decisions.indexing import scopes_to_index
from decisions.memory import Bounded
from decisions.questions import Question
from decisions.requests import Reason
from decisions.terms import NO_TERMS, Terms
from policies.engine import CompiledPolicy
from policies.policy_sets import PolicySet
from resources.catalogue import catalogue

MAX_BASES = 16_384
# Of one that is remembered: the characters of its scopes and its action, and the organizations' own scopes.
MAX_ASKED, MAX_SCOPES = 500, 10
FOREVER = datetime.max.replace(tzinfo=UTC)
NO_LABELS: frozenset[str] = frozenset()

type Key = tuple[str, str, tuple[str, ...], str | None, bool]


class Found(NamedTuple):
    """What the store found for one question.

    `service` is the resource server that authenticated or, for an anonymous caller, the one that it names. `agent` is
    only looked up if the token's row is deleted. The policies are those of the agent's and the service's
    organization. `scopes` are the organizations' own scopes that matter. `reserved` is what a request with the
    same `Idempotency-Key` reserved before, and `problem` why its call cannot be answered again.
    """

    token: TokenFacts | None
    agent: AgentFacts | None
    caller: CallerFacts | None
    service: ServiceFacts | None
    agent_policies: PolicySet | None
    service_policies: PolicySet | None
    terms: Terms = NO_TERMS
    scopes: Sequence[ScopeFacts] = ()
    reserved: ReservedFacts | None = None
    problem: DomainError | None = None

    @property
    def organization_id(self) -> str | None:
        """The agent's organization. None for a stock client, and if the agent is deleted."""
        source = self.token or self.agent
        return source.organization_id if source else None

    @property
    def has_shadows(self) -> bool:
        """Whether either organization has policies that only record what they would decide."""
        own, other = self.agent_policies, self.service_policies
        return (own is not None and own.has_shadows) or (other is not None and other.has_shadows)

    @property
    def needs_labels(self) -> bool:
        """Whether a rule that may apply needs the labels of scopes."""
        own, other = self.agent_policies, self.service_policies
        if (own is not None and own.has_flows) or (other is not None and other.has_flows):
            return True
        return self.terms is not NO_TERMS and self.terms.has_flows


@dataclass(slots=True, eq=False)
class Basis:
    """What is the same for all requests with a token, at a service, for the same scopes and action.

    It holds from `since` until before `until`, when the token or its consent ends. `reason` is why all of them are
    denied. `own` and `others` are the policies of the agent's organization, with the user's own limits, and of the
    service's, or None if only one organization is concerned. `required_scopes` start with the `added_scope`, if one
    that is not required covers the action; `asked` are these and the action. The user must approve `asked_scopes` each
    time. `template` is that of the entries of allowed requests.
    """

    found: Found
    since: datetime
    until: datetime
    reason: Reason | None
    missing_scopes: tuple[str, ...]
    added_scope: str | None
    required_scopes: tuple[str, ...]
    asked: tuple[str, ...]
    service_organization_id: str | None
    own: tuple[CompiledPolicy, ...]
    others: tuple[CompiledPolicy, ...] | None
    labels: frozenset[str]
    asked_scopes: tuple[str, ...]
    indexed_scopes: tuple[str, ...] | None
    template: Template | None = None

    def holds(self, found: Found, now: datetime) -> bool:
        return self.since <= now < self.until and self.found == found

    def widen(self, question: Question) -> Question:
        """Return the question as if it required the scope that covers its action, so that all that follows knows it."""
        if self.added_scope is None:
            return question
        return question._replace(request=question.request._replace(required_scopes=self.required_scopes))


_bases: Bounded[Key, Basis] = Bounded(MAX_BASES)


def find_basis(question: Question, token: TokenFacts, found: Found, now: datetime) -> Basis:
    """Return the basis for the judgement of a question about a stored token."""
    request = question.request
    key = token.token_id, service_key(question), (*request.required_scopes,), request.action, request.is_introspection
    known = _bases.get(key)
    if known is not None and known.holds(found, now):
        return known
    basis = lay_basis(question, token, found, now)
    if _is_worth_remembering(basis, token):
        _bases[key] = basis
    return basis


def forget_policies(policy_set: PolicySet) -> None:
    """Forget the bases with policies that have changed: no facts lead to them again, and they can be large."""
    for key, basis in tuple(_bases.items()):
        if basis.found.agent_policies is policy_set or basis.found.service_policies is policy_set:
            _bases.pop(key, None)


def _is_worth_remembering(basis: Basis, token: TokenFacts) -> bool:
    """Return whether a basis can be used again and is small. What strangers make up is denied, so it takes no room."""
    if basis.reason is not None or basis.found.reserved is not None:
        return False
    asked = sum(map(len, basis.asked))
    return is_short(token) and asked <= MAX_ASKED and len(basis.found.scopes) <= MAX_SCOPES


def lay_basis(question: Question, token: TokenFacts, found: Found, now: datetime) -> Basis:
    covering = cover(question, token, found)
    required = with_scope(covering.scope, question.request.required_scopes)
    asked = with_action(required, question.request.action)
    affected = affected_organization(question, found.service, token.audience, token.owners, token.organization_id)
    reason = first_reason(token, found.service, required, now, is_action_denied=covering.is_denied)
    return Basis(
        found=found,
        since=now,
        until=_next_end(token, now),
        reason=reason,
        missing_scopes=_missing(token, required, covering) if reason is Reason.INSUFFICIENT_SCOPE else (),
        added_scope=covering.scope,
        required_scopes=required,
        asked=asked,
        service_organization_id=affected,
        own=_own_policies(token, found),
        others=_others_policies(token, found, affected),
        labels=_labels(asked, found) if found.needs_labels else NO_LABELS,
        asked_scopes=tuple(scope for scope in dict.fromkeys(asked) if scope in found.terms.asks),
        indexed_scopes=scopes_to_index(required, token, found.scopes, (token.organization_id, affected)),
    )


def cover(question: Question, token: TokenFacts, found: Found) -> Covering:
    """Return which granted scope covers the action of a question."""
    return find_covering(
        question, token, found.terms, found.service_policies if found.service else found.agent_policies
    )


def with_scope(added: str | None, required: Sequence[str]) -> tuple[str, ...]:
    """Return the required scopes after the one that covers the action, if there is one."""
    return (*required,) if added is None else (added, *required)


def with_action(required: tuple[str, ...], action: str | None) -> tuple[str, ...]:
    """Return the required scopes, and the action if there is one."""
    return required if action is None else (*required, action)


def affected_organization(
    question: Question,
    service: ServiceFacts | None,
    audience: Sequence[str],
    owners: Mapping[str, str],
    organization_id: str | None,
) -> str | None:
    """Return the organization of the service that the request affects, or None."""
    if service is None:
        return None
    is_caller = question.request.credential is not None
    return service.organization_id if is_caller or service.accepts(audience, owners, organization_id) else None


def _next_end(token: TokenFacts, now: datetime) -> datetime:
    """Return when a check that depends on the time can change next."""
    ends = (token.expires_at, token.consent_expires_at)
    return min((end for end in ends if end is not None and end > now), default=FOREVER)


def _missing(token: TokenFacts, required: Sequence[str], covering: Covering) -> tuple[str, ...]:
    missing = missing_scopes(token, required)
    return missing if covering.missing is None or covering.missing in missing else (*missing, covering.missing)


def _own_policies(token: TokenFacts, found: Found) -> tuple[CompiledPolicy, ...]:
    own = found.agent_policies.for_agent(token.agent_id) if found.agent_policies else ()
    return (*own, *found.terms.policies)


def _others_policies(token: TokenFacts, found: Found, affected: str | None) -> tuple[CompiledPolicy, ...] | None:
    if found.service_policies is None or affected is None or affected == token.organization_id:
        return None
    return found.service_policies.for_agent(token.agent_id)


def _labels(asked: Collection[str], found: Found) -> frozenset[str]:
    """Return the labels of what is requested: the current ones, and those that the user saw when granting it."""
    known = catalogue()
    labels = {label for scope in asked if scope in known for label in known[scope].labels}
    labels.update(*(scope.labels for scope in found.scopes if scope.scope_id in asked))
    return frozenset(labels.union(*(found.terms.labels.get(scope, ()) for scope in asked)))
