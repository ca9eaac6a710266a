"""Standing rules, suggested to users from their own answers: approvals that end with the connection.

The amount of a rule is a ceiling, and verify counts what it allows against its number per day. Accepting a rule only
adds a row, so revoking it (`revoke_approval`) restores exactly the earlier state.
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.services import hold_account
from approvals.errors import SuggestionChanged
from approvals.history import follows, read_history, standing_for_user
from approvals.models import Approval
from approvals.notices import announce_standing
from approvals.records import draft_approval, said_in
from approvals.selectors import approval_for_user, needs_recent_sign_in
from approvals.services import require_active
from approvals.statuses import fixed_fields
from approvals.suggestions import SuggestedRule
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from core import clock, secrets
from core.actor import Actor
from core.clock import rfc3339
from core.money import Amount


def accept_suggestion(*, actor: Actor, example: Approval, user: User, ceiling: Amount | None, per_day: int) -> Approval:
    """Turn the suggestion that has `example` as evidence into a standing rule, and return it.

    Verify then allows requests with the same target as the example and an amount of at most `ceiling`, `per_day` times
    within 24 hours. Both values must still be the suggested ones. Accepting it twice changes nothing. The user still
    decides the requests that wait. Raises `NotFound`, `NotAuthenticated`, `SuggestionChanged`, and those of
    `require_active`.
    """
    with transaction.atomic():
        user = hold_account(user)
        now = clock.now()
        example = approval_for_user(user, example.id)
        require_active(example, user, now)
        suggestion = find_suggestion(user, example, now)
        if suggestion is None or (suggestion.ceiling, suggestion.per_day) != (ceiling, per_day):
            raise SuggestionChanged(gettext_noop("Your answers no longer lead to this rule."))
        for standing in standing_for_user(user, now):
            if standing.is_rule and follows(standing, suggestion):
                return standing
        rule = _make_rule(suggestion, example, now)
        announce_standing(actor=actor, approval=rule, user=user, at=now)
        append([_draft(rule, actor)], at=now)
    return rule


def find_suggestion(user: User, example: Approval, now: datetime) -> SuggestedRule | None:
    """Return the suggested rule that has this request as evidence, or None if the answers suggest none now."""
    if needs_recent_sign_in(example):
        return None
    suggestions = read_history(user, now, agent_id=example.agent_id).suggestions(example.agent_id, example.consent_id)
    return next((suggestion for suggestion in suggestions if example.id in suggestion.evidence), None)


def _make_rule(suggestion: SuggestedRule, example: Approval, now: datetime) -> Approval:
    context = fixed_fields(example.context)
    if suggestion.ceiling:
        context["amount"] = suggestion.ceiling._asdict()
    rule = Approval(
        consent=example.consent,
        user_id=example.user_id,
        agent=example.agent,
        server_id=example.server_id,
        named_server_id=example.named_server_id,
        audience=example.audience,
        organization_id=example.organization_id,
        service_organization_id=example.service_organization_id,
        digest=secrets.digest(f"rule {example.id}"),
        target_digest=example.target_digest,
        status=Approval.Status.APPROVED,
        is_standing=True,
        evidence={
            "perDay": suggestion.per_day,
            "answered": suggestion.answered,
            "questions": len(suggestion.questions),
        },
        asked_scopes=sorted(suggestion.example.reasons),
        scopes=example.scopes,
        action=example.action,
        resource=example.resource,
        context=context,
        created_at=now,
        decided_at=now,
        notified_at=now,
        expires_at=example.consent.expires_at,
    )
    rule.save(force_insert=True)
    return rule


def _draft(rule: Approval, actor: Actor) -> Draft:
    metadata = {"for": "rule", "expiresAt": rfc3339(rule.expires_at)}
    personal = {"rule": {**rule.context, **(rule.evidence or {})}, **said_in(rule)}
    fields = {"outcome": Outcome.ALLOWED, "metadata": metadata, "personal": personal}
    return draft_approval(Event.APPROVAL_APPROVED, actor=actor, approval=rule, **fields)
