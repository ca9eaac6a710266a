"""What each policy and rule said about a question of a trial, in the order in which verify asks them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from core.canonical import canonical_json
from decisions.terms import rules_of_terms
from decisions.whatif.rehearsal import CONSENT, Explained
from decisions.whatif.sandbox import Asked, Trial, explain_question
from policies.engine import Outcome, Traced
from policies.models import Policy
from policies.rules import sentences
from policies.selectors import policies_for_organization
from web.portal.policies.verdicts import OUTCOMES, PILLS, Verdict, describe_verdict


@dataclass(frozen=True, slots=True)
class Trace:
    """The verdicts. There are none if it `has_changed`: the answer would be another one now.

    `is_early` means that the request was denied before any rule was asked.
    """

    verdicts: Sequence[Verdict] = ()
    has_changed: bool = False
    is_early: bool = False


def policies_of(trial: Trial) -> list[Policy]:
    """Read the policies that a page about the trial needs, oldest first: the enabled ones, and those that decided."""
    named = {asked.policy_id for asked in trial.questions if asked.policy_id}
    rows = policies_for_organization(str(trial.agent.organization_id))
    return list(rows.filter(Q(enabled=True) | Q(pk__in=named)).order_by("id")) if trial.questions else []


def trace_question(trial: Trial, asked: Asked, policies: Sequence[Policy]) -> Trace:
    """Decide the question again by those of the policies that are enabled, and describe what each rule says.

    It writes nothing.
    """
    policies = [policy for policy in policies if policy.enabled]
    explained = explain_question(trial, asked, policies)
    if explained is None:
        return Trace(has_changed=True)
    if explained.rules is None:
        return Trace(is_early=True)
    return Trace([*_verdicts(trial, explained, explained.rules, policies), *map(_asking, explained.asked)])


def _verdicts(
    trial: Trial, explained: Explained, rules: Sequence[Traced], policies: Sequence[Policy]
) -> Iterator[Verdict]:
    words = {policy.id: sentences(policy.rules) for policy in policies}
    words[CONSENT] = _sentences_of_user(trial)
    denial = explained.decision.policy
    for traced in rules:
        policy_id, index = traced.policy.id, traced.rule.index
        known = words.get(policy_id, ())
        verdict = describe_verdict(
            traced,
            sentence=known[index] if index < len(known) else traced.rule.type,
            url="" if policy_id == CONSENT else reverse("web:policy", args=[policy_id]),
        )
        is_decisive = denial is not None and (denial.policy_id, denial.rule_index) == (policy_id, index)
        name = _("Limits set by the user") if policy_id == CONSENT else verdict.policy_name
        yield replace(verdict, policy_name=name, is_decisive=is_decisive)


def _sentences_of_user(trial: Trial) -> list[str]:
    rules = rules_of_terms(canonical_json(trial.terms).decode())
    return [f"{rule.sentence()} ({scope})" if scope else rule.sentence() for scope, rule in rules]


def _asking(scope: str) -> Verdict:
    sentence = _("The user is asked about each use of %(scope)s") % {"scope": scope}
    return Verdict(_("Chosen by the user"), "", sentence, OUTCOMES[Outcome.ASKED], PILLS[Outcome.ASKED])
