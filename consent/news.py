"""Emails that tell a user that an agent may do something new, or need no longer ask."""

from datetime import datetime, timedelta

from accounts.mails import mailed
from accounts.models import User
from accounts.notices import add_notice
from approvals.mails import mailed_fields, mailed_sentence, mailed_service
from approvals.selectors import scopes_of
from consent.connections import Change
from consent.models import Approval, Consent
from core.actor import Actor
from core.zones import in_words
from resources.catalogue import read_snapshot

MAX_LISTED = 20
# Approvals for at most this time are not mailed: the user has just given them, and they end soon.
SHORT = timedelta(days=1)


def announce_grant(*, actor: Actor, consent: Consent, user: User, change: Change, at: datetime) -> None:
    """Mail the user what an approval newly allows, if they want such mails. A mere renewal allows nothing new."""
    wider = change.wider if user.grant_mails else []
    if not wider:
        return
    titles = [mailed(scope.title) for scope in read_snapshot(change.shown) if scope.id in wider]
    facts = {
        "agent": mailed(consent.agent.name),
        "titles": titles[:MAX_LISTED],
        "more": len(titles[MAX_LISTED:]),
        "ends": in_words(consent.expires_at, user.time_zone),
        "consent": consent.id,
    }
    add_notice("access_widened" if change.replaced else "access_granted", user=user, actor=actor, at=at, facts=facts)


def announce_standing(*, actor: Actor, approval: Approval, user: User, at: datetime) -> None:
    """Mail the user what an agent need no longer ask, if they want such mails: of a rule, or of a long approval."""
    is_short = not approval.is_rule and approval.expires_at - at <= SHORT
    if is_short or not user.grant_mails:
        return
    facts = {
        "agent": mailed(approval.agent.name),
        "deed": mailed_sentence(approval, is_ceiling=True),
        "service": mailed_service(approval),
        "fields": mailed_fields(approval, only_fixed=True),
        "titles": [mailed(scope.title) for scope in scopes_of(approval)][:MAX_LISTED],
        "per_day": approval.times_per_day,
        "ends": in_words(approval.expires_at, user.time_zone),
        "consent": approval.consent_id,
    }
    add_notice("asks_less", user=user, actor=actor, at=at, facts=facts)
