"""End the secrets of the resource servers of a deleted organization. Their identifiers stay its own."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from core.rotation import live
from developers.models import Organization
from developers.signals import organization_deleted
from resources.models import ResourceServerSecret


@receiver(organization_deleted)
def end_secrets(*, organization: Organization, now: datetime, **kwargs: Any) -> None:
    secrets = ResourceServerSecret.objects.filter(live(now), resource_server__organization=organization)
    secrets.update(expires_at=now)
