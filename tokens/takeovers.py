"""End the tokens for resource servers that another organization has taken over."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models.fields.json import KeyTransform
from django.dispatch import receiver

from resources.models import ResourceServer
from resources.signals import servers_taken_over
from tokens.models import TokenFamily


@receiver(servers_taken_over)
def end_families(*, servers: Sequence[ResourceServer], now: datetime, **kwargs: Any) -> None:
    """End the families that name one of the servers, other services beside it or not.

    Otherwise they would work again if the organization that proved the domain lost it.
    """
    live = TokenFamily.objects.filter(revoked_at=None, expires_at__gt=now)
    for server in servers:
        named = live.alias(owner=KeyTransform(server.identifier, "resource_owners"))
        named.filter(owner=server.organization_id).update(revoked_at=now)
