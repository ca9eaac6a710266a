"""Rules that users accept because of their own answers: standing approvals that end with the connection.

Each has its amount as a ceiling, and verify counts what it allows against its number per day. Revoking one
(`revoke_approval`) leaves exactly what was before, because accepting it only adds a row.
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.services import hold_account
from approvals.selectors import approval_for_user, needs_recent_sign_in
from approvals.services import require_active
from approvals.standing_rule_selectors import follows, read_history, standing_for_user
from approvals.standing_rules import Lesson
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from consent.errors import LessonChanged
from consent.models import Approval
from consent.news import announce_standing
from consent.records import draft_approval, said_in
from consent.statuses import fixed_fields
from core import clock, secrets
from core.actor import Actor
from core.clock import rfc3339
from core.money import Amount


def accept_lesson(*, actor: Actor, example: Approval, user: User, ceiling: Amount | None, per_day: int) -> Approval:
    """Make a rule of what the user's answers to questions such as `example` teach, and return it.

    Verify then allows what has the same target as the example and at most the amount `ceiling`, `per_day` times within
    24 hours. Both must be what still follows. Accepting it twice changes nothing. The user still decides the requests
    that wait. Raises `NotFound`, `NotAuthenticated`, `LessonChanged`, and the errors of `require_active`.
    """
    with transaction.atomic():
        user = hold_account(user)
        now = clock.now()
        example = approval_for_user(user, example.id)
        require_active(example, user, now)
        lesson = find_lesson(user, example, now)
        if lesson is None or (lesson.ceiling, lesson.per_day) != (ceiling, per_day):
            raise LessonChanged(gettext_noop("Your answers no longer lead to this rule."))
        for standing in standing_for_user(user, now):
            if standing.is_rule and follows(standing, lesson):
                return standing
        rule = _make_rule(lesson, example, now)
        announce_standing(actor=actor, approval=rule, user=user, at=now)
        append([_draft(rule, actor)], at=now)
    return rule


def find_lesson(user: User, example: Approval, now: datetime) -> Lesson | None:
    """Return the lesson that has this request as evidence, or None if nothing follows from the answers now."""
    if needs_recent_sign_in(example):
        return None
    lessons = read_history(user, now, agent_id=example.agent_id).lessons(example.agent_id, example.consent_id)
    return next((lesson for lesson in lessons if example.id in lesson.evidence), None)


def _make_rule(lesson: Lesson, example: Approval, now: datetime) -> Approval:
    context = fixed_fields(example.context)
    if lesson.ceiling:
        context["amount"] = lesson.ceiling._asdict()
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
        evidence={"perDay": lesson.per_day, "answered": lesson.answered, "questions": len(lesson.questions)},
        asked_scopes=sorted(lesson.example.reasons),
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
