"""End what a developer runs alone when their account is erased."""

import re
from datetime import datetime
from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_erased
from audit.entries.personal_keys import destroy_keys
from core.actor import Actor
from core.rotation import live
from developers.domains import release_domain
from developers.models import Developer, DomainClaim, Organization
from developers.selectors import sole_organization
from developers.services import suspend_held_organization

CLOSED = "Its only developer erased their account."
NEUTRAL_NAME = "Former developer"


@receiver(account_erased)
def end_developer(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> list[str]:
    """Expire the user's API keys, and suspend an organization without other developers, which stops all it runs.

    An organization that is called after the user gets a neutral name, and one without others no contact. The names of
    agents, services and policies are the organization's own, and users need them to recognize in their log what they
    allowed. Return the subjects of the keys that are destroyed.
    """
    developer = Developer.objects.filter(user=user).first()
    if developer is None:
        return []
    organization = Organization.objects.select_for_update(no_key=True).get(pk=developer.organization_id)
    if _is_called_after(user, organization.name):
        Organization.objects.filter(pk=organization.pk).update(name=NEUTRAL_NAME)
    if sole_organization(user) is not None:
        if DomainClaim.objects.filter(organization=organization).exists():
            release_domain(actor=actor, organization=organization)
        Organization.objects.filter(pk=organization.pk).update(terms_url="", contact_email="")
        suspend_held_organization(actor=actor, organization=organization, reason=CLOSED, now=now)
    developer.api_keys.filter(live(now)).update(expires_at=now)
    destroy_keys([developer.id])
    return [developer.id]


def _is_called_after(user: User, name: str) -> bool:
    """Return whether the name contains the user's name or address. A registration through the API makes them equal."""
    words = [text for text in (user.name, user.email) if text]
    return any(re.search(rf"(?<!\w){re.escape(text)}(?!\w)", name, re.IGNORECASE) for text in words)
