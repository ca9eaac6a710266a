"""Rules that follow from a user's answers, as pages show them: offered with their evidence, or in force."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from approvals.audiences import Services, services_by_approval
from approvals.history import History, details_of, follows, offers, suggestion_about
from approvals.models import Approval
from approvals.suggestions import Answer, Question, SuggestedRule
from approvals.summaries import ceiling_of
from core.formats import money
from core.money import Amount
from web.user.approvals.facts import Fact, fixed_facts, fixed_names, is_exact
from web.user.approvals.headlines import say_rule

MAX_REPLAYED = 50
ANSWERS = {
    Answer.APPROVED: _("You approved it"),
    Answer.REFUSED: _("You denied it"),
    Answer.NONE: _("Not decided in time"),
}


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule in words, with its evidence. `example` is the id of a request that it is based on.

    `fixed` is what it fixes and the sentence leaves out, and `fixed_names` are the names of these on one line.

    `accepted` is the standing approval of this rule, or None if it is only offered. An accepted rule has the evidence
    that the user saw. `suggestion` is what is offered. `is_exact` is whether all that is sent must be the same.
    """

    example: str
    agent: str
    sentence: SafeString
    services: Services
    ceiling: Amount | None
    per_day: int
    answered: int
    total: int
    undecided: int
    accepted: Approval | None = None
    is_exact: bool = False
    fixed: Sequence[Fact] = ()
    fixed_names: str = ""
    suggestion: SuggestedRule | None = None

    @property
    def replay(self) -> list[tuple[Question, str, str, bool]]:
        """The newest questions: amount, the user's answer, and whether the offered rule would have allowed it."""
        if self.suggestion is None:
            return []
        passed, newest = self.suggestion.passed, self.suggestion.questions[:MAX_REPLAYED]
        return [(each, _money(each), str(ANSWERS[each.answer]), each.id in passed) for each in newest]

    @property
    def not_replayed(self) -> int:
        return max(self.total - MAX_REPLAYED, 0)


def offered_rules(user: User, history: History, standing: Sequence[Approval], now: datetime) -> list[ShownRule]:
    """Return the rules that follow from all of the user's answers and have not been accepted."""
    found = offers(user, history, standing, now)
    services = services_by_approval(offer.example for offer in found)
    return [_offer(offer.suggestion, offer.example, services[offer.example.pk]) for offer in found]


def rule_about(
    approval: Approval, history: History, standing: Iterable[Approval], may_offer: Callable[[], bool]
) -> ShownRule | None:
    """Return the rule about the target of a request: the one in force, otherwise one that can be offered, or None."""
    suggestion = suggestion_about(approval, history)
    for rule in standing:
        is_same = rule.pk == approval.pk or rule.target_digest == approval.target_digest
        if rule.is_rule and is_same and (suggestion is None or follows(rule, suggestion)):
            (accepted,) = details_of(approval.user, [rule]) or [rule]
            return _accepted(accepted, services_by_approval([accepted])[accepted.pk])
    if suggestion is None or not may_offer():
        return None
    return _offer(suggestion, approval, services_by_approval([approval])[approval.pk])


def accepted_rules(rules: Sequence[Approval], services: Mapping[str, Services]) -> list[ShownRule]:
    """Return the rules in force, in this order, each with its services."""
    return [_accepted(rule, services[rule.pk]) for rule in rules]


def _money(question: Question) -> str:
    return money(question.amount._asdict()) if question.amount else ""


def _accepted(rule: Approval, services: Services) -> ShownRule:
    seen, per_day = rule.evidence or {}, rule.times_per_day or 1
    ceiling = ceiling_of(rule)
    return ShownRule(
        example=rule.id,
        agent=rule.agent.name,
        sentence=say_rule(rule, ceiling, per_day),
        services=services,
        ceiling=ceiling,
        per_day=per_day,
        answered=seen.get("answered", 0),
        total=seen.get("questions", 0),
        undecided=0,
        fixed=fixed_facts(rule),
        fixed_names=fixed_names(rule),
        accepted=rule,
    )


def _offer(suggestion: SuggestedRule, shown: Approval, services: Services) -> ShownRule:
    return ShownRule(
        example=suggestion.example.id,
        agent=shown.agent.name,
        sentence=say_rule(shown, suggestion.ceiling, suggestion.per_day),
        services=services,
        ceiling=suggestion.ceiling,
        per_day=suggestion.per_day,
        answered=suggestion.answered,
        total=len(suggestion.questions),
        undecided=suggestion.undecided,
        is_exact=is_exact(shown),
        fixed=fixed_facts(shown),
        fixed_names=fixed_names(shown),
        suggestion=suggestion,
    )
