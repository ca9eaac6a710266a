"""Emails that tell a user that an agent may do something new."""

from datetime import datetime

from accounts.mails import mailed
from accounts.models import User
from accounts.notices import add_notice
from consent.connections import Change
from consent.models import Consent
from core.actor import Actor
from core.zones import in_words
from resources.catalogue import read_snapshot

MAX_LISTED = 20


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
