"""Emails that tell a user what an agent no longer needs to ask."""

from datetime import datetime, timedelta

from accounts.mails import mailed
from accounts.models import User
from accounts.notices import add_notice
from approvals.mails import mailed_fields, mailed_sentence, mailed_service
from approvals.models import Approval
from approvals.selectors import scopes_of
from core.actor import Actor
from core.zones import in_words

MAX_LISTED = 20
# No email is sent about approvals that last no longer than this: the user has just given them, and they end soon.
SHORT = timedelta(days=1)


def announce_standing(*, actor: Actor, approval: Approval, user: User, at: datetime) -> None:
    """Email the user about a new rule or long approval, if they want such emails."""
    is_short = not approval.is_rule and approval.expires_at - at <= SHORT
    if is_short or not user.grant_mails:
        return
    facts = {
        "agent": mailed(approval.agent.name),
        "summary": mailed_sentence(approval, is_ceiling=True),
        "service": mailed_service(approval),
        "fields": mailed_fields(approval, only_fixed=True),
        "titles": [mailed(scope.title) for scope in scopes_of(approval)][:MAX_LISTED],
        "per_day": approval.times_per_day,
        "ends": in_words(approval.expires_at, user.time_zone),
        "consent": approval.consent_id,
    }
    add_notice("asks_less", user=user, actor=actor, at=at, facts=facts)
