"""End all tokens of a user, and of the user's agents, when the owner of the address reclaims the account."""

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_reclaimed
from audit.events import Event
from core.actor import Actor
from developers.selectors import sole_organization
from tokens.families import record_family
from tokens.models import TokenFamily


@receiver(account_reclaimed)
def end_families(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """End the user's families, and the client-credentials families of the agents of the user's organization."""
    organization = sole_organization(user)
    owned = Q(user=user)
    if organization is not None:
        owned |= Q(application__organization=organization, user=None)
    live = TokenFamily.objects.select_related("consent", "application").filter(owned, revoked_at=None)
    for family in live.select_for_update(of=("self",)).order_by("pk"):
        TokenFamily.objects.filter(pk=family.pk).update(revoked_at=now)
        metadata = {"reason": "account_reclaimed"}
        record_family(Event.TOKEN_REVOKED, actor=actor, family=family, now=now, metadata=metadata)
