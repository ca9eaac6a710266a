"""Expire a developer's credentials when the owner of the email address reclaims the account."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_reclaimed
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core.actor import Actor
from core.rotation import live
from developers.models import Developer
from developers.selectors import sole_organization
from resources.models import ResourceServerSecret


@receiver(account_reclaimed)
def end_credentials(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Expire the user's API keys, and if they are the sole developer, their organization's resource server secrets."""
    developer = Developer.objects.select_for_update(of=("self",)).filter(user=user).first()
    if developer is None:
        return
    developer.api_keys.filter(live(now)).update(expires_at=now)
    organization = sole_organization(user)
    servers = ResourceServerSecret.objects.filter(live(now), resource_server__organization=organization)
    ended = servers.update(expires_at=now) if organization else 0
    draft = Draft(
        event=Event.API_KEY_REVOKED,
        actor=actor,
        organization_id=developer.organization_id,
        user_id=user.id,
        metadata={"developerId": developer.id, "reason": "account_reclaimed", "resourceServerSecrets": ended},
    )
    record(draft)
