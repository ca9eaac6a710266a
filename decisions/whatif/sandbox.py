"""The sandbox: a developer plays the user of their own agent, and asks what verify would then answer.

A trial is an entry in the organization's log: what the developer granted. Each question to verify is another one. There
are no other rows: no consent, no token and no approval, and no counter of a limit changes. The entries have no user and
no connection, so they belong to no person's history and to no total.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db import transaction
from django.utils.translation import gettext_noop

from agents.emergency import is_everything_stopped
from agents.models import Agent
from audit.entries.drafts import Draft
from audit.events import SANDBOX, Event
from audit.readers.reading import AuditEntry
from audit.readers.snapshot import take_snapshot
from audit.selectors import Filters, entry_for_organization, newest_for_organization
from audit.services import record
from consent.connections import editions_of, labels_of
from consent.terms import NOTHING_SAID, GivenTerms, Terms, always_asking, settle_terms
from core import clock
from core.actor import SYSTEM, Actor
from core.canonical import canonical_json, has_nul
from core.errors import Invalid, NotFound
from core.nesting import MAX_DEPTH, is_value_too_deep
from core.net import canonical_address
from core.wording import Filled
from decisions.contexts import MAX_LOGGED_BYTES
from decisions.entries import what_is_missing
from decisions.facts import ScopeFacts
from decisions.judgement import is_users_own
from decisions.requests import Decision, Reason
from decisions.whatif.rehearsal import Call, Explained, Rehearsed, RehearsedAgent, explain_last, rehearse
from developers.acting import hold_developer
from policies.books import PolicyBook
from policies.models import Policy
from policies.selectors import book_without_history, compile_without_history
from resources.catalogue import Scope, catalogue, describe_scopes, snapshot
from resources.selectors import actions_of

ALLOWED, ASKED, DENIED = "allowed", "asked", "denied"
# The questions of a trial are decided again with each further one, because they count in its limits.
MAX_QUESTIONS = 50
# At most so many entries, the newest of the agent, are searched for the questions of a trial.
MAX_READ = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a trial with its answer: "allowed", "asked" (the user is asked first) or "denied"."""

    id: str
    at: datetime
    scope: str
    action: str | None
    context: Mapping[str, Any]
    answer: str
    reason: str | None
    policy_id: str | None
    metadata: Mapping[str, Any]

    @classmethod
    def read(cls, entry: AuditEntry) -> Self:
        content, personal = entry.content, entry.personal
        return cls(
            id=entry.id,
            at=entry.timestamp,
            scope=content["scopes"][0],
            action=content["action"],
            context=personal.get("context", {}),
            answer=content["metadata"]["wouldBe"],
            reason=content["reason"],
            policy_id=content.get("policyId"),
            metadata=content["metadata"],
        )

    @property
    def call(self) -> Call:
        return Call(self.scope, self.context, self.action, self.at)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a developer granted to their agent in the sandbox. `scopes` is empty if they did not allow the request.

    `described` are the scopes that the agent may request, and `questions` those asked so far, oldest first.
    """

    id: str
    at: datetime
    agent: Agent
    requested: Sequence[str]
    scopes: Sequence[str]
    terms: Mapping[str, Any]
    questions: Sequence[Asked]
    described: Sequence[Scope]


@transaction.atomic
def record_trial(
    *, actor: Actor, agent: Agent, requested: Sequence[str], granted: Sequence[str], given: GivenTerms = NOTHING_SAID
) -> str:
    """Write what the developer decided about the agent's request, and return the id of the trial.

    Granting nothing denies the request. Raises `Invalid` for scopes that the agent cannot request or did not, and for
    terms that no connection could have.
    """
    hold_developer(actor)
    _require_among(requested, agent.allowed_scopes, field="requested")
    _require_among(granted, requested, field="scopes")
    described = describe_scopes(granted)
    shown = snapshot(described)
    terms = settle_terms(
        earlier=Terms(),
        given=given,
        granted=granted,
        critical=always_asking(described),
        labels=labels_of(granted, shown),
        editions=editions_of(granted, shown),
    )
    return record(
        Draft(
            event=Event.SANDBOX_CONSENT,
            actor=actor,
            organization_id=agent.organization_id,
            agent_id=agent.id,
            scopes=granted,
            metadata={
                "sandbox": True,
                "wouldBe": ALLOWED if granted else DENIED,
                "requestedScopes": list(requested),
            },
            personal={"terms": terms.stored() if granted else {}},
        )
    )


@transaction.atomic
def ask_in_trial(
    *, actor: Actor, trial: Trial, scope: str, action: str | None = None, context: Mapping[str, Any]
) -> Asked:
    """Decide a request of the trial's agent by the code of verify, and write the question with its answer.

    The policies are those now in force. Raises `Invalid`.
    """
    hold_developer(actor)
    if len(trial.questions) >= MAX_QUESTIONS:
        text = gettext_noop("A trial has room for %(most)d questions. Start another one.")
        raise Invalid.field("scope", Filled(text, most=MAX_QUESTIONS))
    _check_context(context)
    now = clock.now()
    calls = [*(question.call for question in trial.questions), Call(scope, context, action, now)]
    decision = rehearse(_rehearsed(trial, book_without_history(str(trial.agent.organization_id))), calls)[-1]
    draft = _draft(actor, trial, calls[-1], decision)
    entry_id = record(draft)
    return Asked(
        entry_id,
        now,
        scope,
        action,
        context,
        _answer(decision),
        draft.reason,
        draft.policy_id,
        draft.metadata,
    )


def explain_question(trial: Trial, asked: Asked, policies: Sequence[Policy]) -> Explained | None:
    """Decide a question of the trial again by these policies, those that are enabled now. Nothing is written.

    None if the answer is another one now, because the agent or a policy has changed since.
    """
    calls = [question.call for question in trial.questions if question.at <= asked.at]
    book = compile_without_history(policies, actions_of(str(trial.agent.organization_id)))
    explained = explain_last(_rehearsed(trial, book), calls)
    draft = _draft(SYSTEM, trial, asked.call, explained.decision)
    answer = draft.metadata["wouldBe"], draft.reason, draft.policy_id
    return explained if answer == (asked.answer, asked.reason, asked.policy_id) else None


def trial_for_organization(organization_id: str, agent: Agent, trial_id: str) -> Trial:
    """Return a trial of the organization's agent. Raises `NotFound`, also once its terms have been erased."""
    filters = Filters(agent_id=agent.id, events=SANDBOX)
    newest = newest_for_organization(take_snapshot(), organization_id, filters, MAX_READ)
    found = next((one for one in newest if one.id == trial_id), None)
    entry = found or entry_for_organization(organization_id, trial_id)
    if entry.event != Event.SANDBOX_CONSENT or entry.agent_id != agent.id or entry.is_erased:
        raise NotFound("No such trial.")
    content = entry.content
    questions = [one for one in reversed(newest) if _is_question(one, trial_id)]
    return Trial(
        id=entry.id,
        at=entry.timestamp,
        agent=agent,
        requested=content["metadata"]["requestedScopes"],
        scopes=content["scopes"],
        terms=entry.personal.get("terms", {}),
        questions=[Asked.read(one) for one in questions],
        described=describe_scopes(agent.allowed_scopes),
    )


def _check_context(context: Mapping[str, Any]) -> None:
    """Raise `Invalid` for a context that verify would refuse, or that the log would not hold as a whole."""
    if is_value_too_deep(context):
        raise Invalid.field("context", Filled(gettext_noop("At most %(most)d levels deep."), most=MAX_DEPTH))
    try:
        encoded = canonical_json(dict(context))
    except ValueError as error:
        raise Invalid.field("context", gettext_noop("Must be JSON without huge numbers.")) from error
    if len(encoded) > MAX_LOGGED_BYTES:
        raise Invalid.field("context", Filled(gettext_noop("At most %(most)d bytes."), most=MAX_LOGGED_BYTES))
    if has_nul(encoded):
        raise Invalid.field("context", gettext_noop("Must not contain NUL characters."))
    address = context.get("ip")
    if "ip" in context and (not isinstance(address, str) or canonical_address(address) is None):
        raise Invalid.field("context", gettext_noop("“ip” must be an IPv4 or IPv6 address."))


def _require_among(scopes: Sequence[str], allowed: Sequence[str], *, field: str) -> None:
    unknown = [scope for scope in scopes if scope not in allowed]
    if unknown:
        text = gettext_noop("The agent cannot request “%(scope)s”. Add it to its allowed scopes first.")
        raise Invalid.field(field, Filled(text, scope=unknown[0][:100]))


def _is_question(entry: AuditEntry, trial_id: str) -> bool:
    is_question = entry.event == Event.SANDBOX_VERIFY and entry.record["metadata"].get("trialId") == trial_id
    return is_question and not entry.is_erased


def _rehearsed(trial: Trial, book: PolicyBook) -> Rehearsed | None:
    """Return the facts of the trial, or None if the developer did not allow the request."""
    if not trial.scopes:
        return None
    agent = trial.agent
    return Rehearsed(
        scopes=trial.scopes,
        terms=trial.terms,
        agent=RehearsedAgent(
            id=agent.id,
            client_id=agent.client_id,
            organization_id=agent.organization_id,
            allowed_scopes=agent.allowed_scopes,
            status=agent.status,
            is_stopped=agent.is_stopped,
            is_everything_stopped=is_everything_stopped(),
            book=book,
            scopes=_own_scopes(trial.described),
        ),
    )


def _own_scopes(described: Sequence[Scope]) -> list[ScopeFacts]:
    own = (scope for scope in described if scope.id not in catalogue())
    return [ScopeFacts(one.id, json.dumps(sorted(one.labels)), one.risk_level, None) for one in own]


def _answer(decision: Decision) -> str:
    if decision.allowed:
        return ALLOWED
    return ASKED if decision.reason is Reason.APPROVAL_REQUIRED else DENIED


def _draft(actor: Actor, trial: Trial, call: Call, decision: Decision) -> Draft:
    policy = None if decision.policy is None or is_users_own(decision.policy, decision) else decision.policy
    return Draft(
        event=Event.SANDBOX_VERIFY,
        actor=actor,
        organization_id=trial.agent.organization_id,
        agent_id=trial.agent.id,
        policy_id=policy.policy_id if policy else None,
        policy_organization_id=trial.agent.organization_id if policy else None,
        reason=decision.reason,
        action=call.action,
        scopes=(call.scope,),
        metadata={
            "sandbox": True,
            "trialId": trial.id,
            "wouldBe": _answer(decision),
            **what_is_missing(decision),
            **_rule_of(decision),
        },
        personal={"context": dict(call.context)},
    )


def _rule_of(decision: Decision) -> dict[str, Any]:
    """Return which rule decided: as in the log of verify, of a limit of the user only its type."""
    rule = decision.policy
    if rule is None:
        return {}
    if is_users_own(rule, decision):
        return {"ruleType": rule.rule_type, "limitedBy": "user"}
    return {
        "ruleType": rule.rule_type,
        "ruleIndex": rule.rule_index,
        "policyName": rule.policy_name,
        "detail": rule.detail,
    }
