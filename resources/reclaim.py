"""Expire a user's credentials as a developer when the owner of the email address reclaims the account."""

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
from developers.selectors import memberships_of, sole_organizations
from resources.models import ResourceServerSecret


@receiver(account_reclaimed)
def end_credentials(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Expire the user's API keys, and the resource server secrets of the organizations without other members."""
    alone = {*sole_organizations(user).values_list("pk", flat=True)}
    for member in memberships_of(user).select_for_update(of=("self",)):
        member.api_keys.filter(live(now)).update(expires_at=now)
        servers = ResourceServerSecret.objects.filter(live(now), resource_server__organization=member.organization_id)
        ended = servers.update(expires_at=now) if member.organization_id in alone else 0
        draft = Draft(
            event=Event.API_KEY_REVOKED,
            actor=actor,
            organization_id=member.organization_id,
            user_id=user.id,
            metadata={"developerId": member.id, "reason": "account_reclaimed", "resourceServerSecrets": ended},
        )
        record(draft)
