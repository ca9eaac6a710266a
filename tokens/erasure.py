"""End all tokens of a user whose account is erased."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_erased
from audit.events import Event
from core.actor import Actor
from tokens.families import record_family
from tokens.models import RefreshToken, TokenFamily


@receiver(account_erased)
def end_families(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """End the user's families, and delete the responses with tokens that could be repeated."""
    live = TokenFamily.objects.select_related("consent", "application").filter(user=user, revoked_at=None)
    for family in live.select_for_update(of=("self",)).order_by("pk"):
        TokenFamily.objects.filter(pk=family.pk).update(revoked_at=now)
        record_family(Event.TOKEN_REVOKED, actor=actor, family=family, now=now, metadata={"reason": "account_erased"})
    answered = RefreshToken.objects.filter(family__user=user, sealed_answer__isnull=False)
    answered.update(sealed_answer=None)
