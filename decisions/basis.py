"""The basis of a judgement: what follows from the facts, the scopes and the action, whatever else a request says.

The same agents ask for the same again and again, so a process remembers the bases of requests that pass all checks. One
is used only while all facts are the same: each decision compares those that its own transaction has read.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from audit.entries.templates import Template
from core.chains import Link
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
from decisions.sides import Side, only_link, sides_of
from decisions.terms import NO_TERMS, Terms, bounds_of
from policies.engine import CompiledPolicy
from policies.policy_sets import PolicySet
from resources.catalogue import catalogue
from resources.risks import CRITICAL
from tokens.chains import Handover, links_of

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
    organization, and `chain_policies` those of the agents of the `chain` that handed the work on. `scopes` are the
    organizations' own scopes that matter. `reserved` is what a request with the same `Idempotency-Key` reserved before,
    and `problem` why its call cannot be answered again.
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
    chain: tuple[Handover, ...] = ()
    chain_policies: tuple[PolicySet | None, ...] = ()

    @property
    def organization_id(self) -> str | None:
        """The agent's organization. None for a stock client, and if the agent is deleted."""
        source = self.token or self.agent
        return source.organization_id if source else None

    @property
    def granting_organization_id(self) -> str | None:
        """The organization of the agent to which the user granted: the first one of a chain."""
        return self.chain[0].organization_id if self.chain else self.organization_id

    @property
    def granting_policies(self) -> PolicySet | None:
        """The policies of that organization."""
        return self.chain_policies[0] if self.chain else self.agent_policies

    @property
    def has_shadows(self) -> bool:
        """Whether an organization has policies that only record what they would decide."""
        own, other = self.agent_policies, self.service_policies
        if (own is not None and own.has_shadows) or (other is not None and other.has_shadows):
            return True
        return any(each is not None and each.has_shadows for each in self.chain_policies)

    @property
    def needs_labels(self) -> bool:
        """Whether a rule that may apply needs the labels of scopes."""
        own, other = self.agent_policies, self.service_policies
        if (own is not None and own.has_flows) or (other is not None and other.has_flows):
            return True
        if any(each is not None and each.has_flows for each in self.chain_policies):
            return True
        return self.terms is not NO_TERMS and self.terms.has_flows


@dataclass(slots=True, eq=False)
class Basis:
    """What is the same for all requests with a token, at a service, for the same scopes and action.

    It holds from `since` until before `until`, when the token or its consent ends. `reason` is why all of them are
    denied. `sides` have the policies that apply, and `links` the agents of the chain, or none. `required_scopes` start
    with the `added_scope`, if one that is not required covers the action; `asked` are these and the action. The user
    must approve `asked_scopes` each time. `template` is that of the entries of allowed requests.
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
    sides: tuple[Side, ...]
    links: tuple[Link, ...]
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
        found = basis.found
        if any(each is policy_set for each in (found.agent_policies, found.service_policies, *found.chain_policies)):
            _bases.pop(key, None)


def _is_worth_remembering(basis: Basis, token: TokenFacts) -> bool:
    """Return whether a basis can be used again and is small. What strangers make up is denied, so it takes no room."""
    if basis.reason is not None or basis.found.reserved is not None:
        return False
    asked = sum(map(len, basis.asked))
    return is_short(token, *basis.found.chain) and asked <= MAX_ASKED and len(basis.found.scopes) <= MAX_SCOPES


def lay_basis(question: Question, token: TokenFacts, found: Found, now: datetime) -> Basis:
    covering = cover(question, token, found)
    required = with_scope(covering.scope, question.request.required_scopes)
    asked = with_action(required, question.request.action)
    granting = found.granting_organization_id
    affected = affected_organization(question, found.service, token.audience, token.owners, granting)
    path = question.claims.delegations if question.claims else ()
    reason = first_reason(
        token, found.service, required, now, is_action_denied=covering.is_denied, path=path, chain=found.chain
    )
    # What is critical is never done by an agent that it was handed to without asking the user.
    grave = [scope for scope in required if found.chain and is_critical(scope, found)]
    links = links_of(found.chain, token.agent_id, token.organization_id)
    return Basis(
        found=found,
        since=now,
        until=_next_end(token, found.chain, now),
        reason=reason,
        missing_scopes=_missing(token, required, covering) if reason is Reason.INSUFFICIENT_SCOPE else (),
        added_scope=covering.scope,
        required_scopes=required,
        asked=asked,
        service_organization_id=affected,
        sides=sides_of(
            links or only_link(token),
            (*found.chain_policies, found.agent_policies),
            found.service_policies,
            affected,
            _bounds(found),
        ),
        links=links,
        labels=_labels(asked, found) if found.needs_labels else NO_LABELS,
        asked_scopes=tuple(scope for scope in dict.fromkeys(asked) if scope in found.terms.asks or scope in grave),
        indexed_scopes=scopes_to_index(
            required, token, found.scopes, (token.organization_id, affected, *(link.organization_id for link in links))
        ),
    )


def cover(question: Question, token: TokenFacts, found: Found) -> Covering:
    """Return which granted scope covers the action of a question."""
    return find_covering(
        question, token, found.terms, found.service_policies if found.service else found.granting_policies
    )


def is_critical(scope: str, found: Found) -> bool:
    """Return whether the scope was critical when the user granted it, or is now. An unknown one counts as critical."""
    if scope in found.terms.critical:
        return True
    known = catalogue().get(scope)
    if known is not None:
        return known.always_asks
    risks = [own.risk_level for own in found.scopes if own.scope_id == scope]
    return not risks or CRITICAL in risks


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


def _next_end(token: TokenFacts, chain: Sequence[Handover], now: datetime) -> datetime:
    """Return when a check that depends on the time can change next."""
    ends = (token.expires_at, token.consent_expires_at, *(each.expires_at for each in chain))
    return min((end for end in ends if end is not None and end > now), default=FOREVER)


def _missing(token: TokenFacts, required: Sequence[str], covering: Covering) -> tuple[str, ...]:
    missing = missing_scopes(token, required)
    return missing if covering.missing is None or covering.missing in missing else (*missing, covering.missing)


def _bounds(found: Found) -> tuple[CompiledPolicy, ...]:
    """Return what the user and the delegations allow of what the agents could do."""
    return (*found.terms.policies, *(policy for each in found.chain for policy in bounds_of(each)))


def _labels(asked: Collection[str], found: Found) -> frozenset[str]:
    """Return the labels of what is requested: the current ones, and those that the user saw when granting it."""
    known = catalogue()
    labels = {label for scope in asked if scope in known for label in known[scope].labels}
    labels.update(*(scope.labels for scope in found.scopes if scope.scope_id in asked))
    return frozenset(labels.union(*(found.terms.labels.get(scope, ()) for scope in asked)))
