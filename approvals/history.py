"""What a user was asked in the last 30 days, and the rules that this suggests (`approvals.suggestions`)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Exists

from accounts.models import User
from agents.models import EmergencyStop
from approvals.models import Approval, names_target
from approvals.selectors import approvals_for_user, needs_recent_sign_in, standing_among
from approvals.statuses import fixed_fields
from approvals.suggestions import Answer, Question, SuggestedRule, suggest_rules
from consent.selectors import live_consents_for_user
from core.canonical import canonical_json, sha256
from core.money import read_amount

# How long the content of an approval is kept after its end.
ENDED_APPROVAL_LIFETIME = timedelta(days=30)

Status = Approval.Status
# The most questions that a page reads. If there are more, it also reads up to this many older refusals, and offers no
# rule if there are even more of those.
MAX_QUESTIONS = 500
MAX_OFFERS = 5
FIELDS = (
    "id",
    "agent_id",
    "consent_id",
    "status",
    "decided_at",
    "created_at",
    "is_critical",
    "asked_scopes",
    "asked_by_rule",
    "scopes",
    "action",
    "resource",
    "server_id",
    "named_server_id",
    "audience",
    "context",
    "chain",
)
STANDING = (*FIELDS, "evidence", "expires_at", "target_digest", "consent__expires_at")


@dataclass(frozen=True)
class History:
    """A user's questions, newest first, as pairs of the agent's id and the question.

    `number` of all questions, including those that are not evidence for a rule, such as those of agents that were
    handed work, and `approved` of these. `is_cut` means
    that there were more. `refusals` are then all older questions that the user refused, or None if there are too many.
    """

    questions: Sequence[tuple[str, Question]]
    number: int
    approved: int
    is_cut: bool
    refusals: Sequence[tuple[str, Question]] | None

    def suggestions(self, agent_id: str, consent_id: str) -> list[SuggestedRule]:
        """Return the rules suggested for the agent's connection."""
        return suggest_rules(self._questions_by_agent.get(agent_id, ()), consent_id)

    @cached_property
    def _questions_by_agent(self) -> Mapping[str, list[Question]]:
        """The questions of each agent. Empty if some refusals are unknown, so that no rule is suggested."""
        found: dict[str, list[Question]] = {}
        for agent, question in (*self.questions, *self.refusals) if self.refusals is not None else ():
            found.setdefault(agent, []).append(question)
        return found


@dataclass(frozen=True, slots=True)
class Offer:
    """A suggestion that the user can accept, with the request that is its example."""

    suggestion: SuggestedRule
    example: Approval


def read_history(user: User, now: datetime, *, agent_id: str | None = None) -> History:
    """Return what the user was asked in the last 30 days, under all connections or under those of one agent."""
    asked = Approval.objects.filter(
        user=user, evidence__isnull=True, created_at__gt=now - ENDED_APPROVAL_LIFETIME
    ).order_by("-id")
    if agent_id is not None:
        asked = asked.filter(consent__agent=agent_id)
    rows = list(asked.values(*FIELDS)[: MAX_QUESTIONS + 1])
    is_cut, rows = len(rows) > MAX_QUESTIONS, rows[:MAX_QUESTIONS]
    number, approved = len(rows), sum(_answer(row) is Answer.APPROVED for row in rows)
    if not is_cut:
        return History(_read(rows), number, approved, is_cut=False, refusals=())
    refused = asked.filter(status=Status.DENIED, id__lt=rows[-1]["id"])
    older = list(refused.values(*FIELDS)[: MAX_QUESTIONS + 1])
    refusals = _read(older) if len(older) <= MAX_QUESTIONS else None
    return History(_read(rows), number, approved, is_cut=True, refusals=refusals)


def offers(user: User, history: History, standing: Iterable[Approval], now: datetime) -> list[Offer]:
    """Return the rules that the user can accept, those with the most evidence, for all live connections in `history`.

    `standing` are the approvals that the user has given for longer already (`standing_for_user`).
    """
    agents = {agent for agent, _ in history.questions}
    # Nothing may be used while everything is stopped.
    used = live_consents_for_user(user, now).filter(~Exists(EmergencyStop.objects.all()), paused_at=None)
    connections = used.filter(agent__in=agents).order_by("-id").values_list("agent_id", "pk")
    suggestions = [suggestion for agent, consent in connections for suggestion in history.suggestions(agent, consent)]
    suggestions.sort(key=lambda suggestion: -suggestion.answered)
    left = without_accepted(suggestions, standing)[:MAX_OFFERS]
    if not left:
        return []
    examples = approvals_for_user(user).in_bulk([suggestion.example.id for suggestion in left])
    found = [Offer(one, examples[one.example.id]) for one in left if one.example.id in examples]
    return [one for one in found if not needs_recent_sign_in(one.example) and _is_usable(one.example, user)]


def suggestion_about(approval: Approval, history: History) -> SuggestedRule | None:
    """Return the rule suggested for the target of a request or of a rule, or None."""
    asked = _question_of(approval)
    if asked is None:
        return None
    suggestions = history.suggestions(approval.agent_id, approval.consent_id)
    return next((suggestion for suggestion in suggestions if suggestion.example.target == asked.target), None)


def without_accepted(suggestions: Iterable[SuggestedRule], standing: Iterable[Approval]) -> list[SuggestedRule]:
    """Return the suggestions that no approval covers yet until the connection ends."""
    lasting = [approval for approval in standing if approval.expires_at >= approval.consent.expires_at]
    return [suggestion for suggestion in suggestions if not any(follows(approval, suggestion) for approval in lasting)]


def follows(standing: Approval, suggestion: SuggestedRule) -> bool:
    """Return whether the standing approval already allows all that the suggestion would."""
    given, example = _question_of(standing), suggestion.example
    if given is None or (given.target, given.consent_id) != (example.target, example.consent_id):
        return False
    is_often_enough = standing.times_per_day is None or suggestion.per_day <= standing.times_per_day
    return is_often_enough and example.reasons <= given.reasons and suggestion.units <= given.units


def standing_for_user(user: User, now: datetime) -> list[Approval]:
    """Return what the user has approved for a time or as a rule and is still in force, newest first.

    Only the fields that are used to compare rules are loaded. `details_of` loads the others in one query.
    """
    return list(
        standing_among(Approval.objects.filter(user=user), now)
        .select_related("consent")
        .only(*STANDING)[:MAX_QUESTIONS]
    )


def details_of(user: User, standing: Iterable[Approval]) -> list[Approval]:
    """Return these approvals of the user with all their fields, their consents and agents, in this order."""
    ids = [approval.pk for approval in standing]
    found = approvals_for_user(user).in_bulk(ids)
    return [found[each] for each in ids if each in found]


def _is_usable(example: Approval, user: User) -> bool:
    """Return whether the agent of a live connection could use the rule (`approvals.services.require_active`)."""
    consent = example.consent
    is_paused = consent.paused_at is not None or user.agents_paused_at is not None
    return not is_paused and consent.agent.may_act and set(example.scopes) <= set(consent.live_scopes())


def _question_of(approval: Approval) -> Question | None:
    return _question({name: getattr(approval, name) for name in FIELDS})


def _read(rows: Iterable[dict[str, Any]]) -> list[tuple[str, Question]]:
    """Return the questions that are no longer pending."""
    read = ((row["agent_id"], _question(row)) for row in rows if row["status"] != Status.PENDING)
    return [(agent, question) for agent, question in read if question is not None]


def _question(row: dict[str, Any]) -> Question | None:
    """Return the question, or None if no rule can cover it: it was handed on, or its amount cannot be read."""
    stated = row["context"].get("amount")
    amount = read_amount(stated)
    if row["chain"] or (stated is not None and amount is None):
        return None
    return Question(
        id=row["id"],
        consent_id=row["consent_id"],
        target=_target(row, amount.currency if amount else None),
        answer=_answer(row),
        amount=amount,
        reasons=frozenset(row["asked_scopes"]),
        is_evidence=_is_evidence(row),
        at=row["created_at"],
    )


def _target(row: dict[str, Any], currency: str | None) -> str:
    """Return the digest of what a standing approval fixes, regardless of the connection."""
    bound = (row[name] for name in ("agent_id", "action", "resource", "server_id", "named_server_id"))
    listed = (sorted(set(row["scopes"])), sorted(row["audience"]))
    return sha256(canonical_json([*bound, *listed, fixed_fields(row["context"]), currency]))


def _is_evidence(row: dict[str, Any]) -> bool:
    is_asked_by_scope = bool(row["asked_scopes"]) and not row["asked_by_rule"]
    return is_asked_by_scope and not row["is_critical"] and names_target(row["resource"], row["context"])


def _answer(row: dict[str, Any]) -> Answer:
    if row["status"] == Status.DENIED:
        return Answer.REFUSED
    return Answer.APPROVED if row["decided_at"] is not None else Answer.NONE
