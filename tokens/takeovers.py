"""End the tokens for resource servers that another organization has taken over."""

from collections.abc import Sequence
from datetime import datetime
from itertools import batched
from typing import Any

from django.dispatch import receiver

from core.sweeps import BATCH
from core.text_lists import ListsAny
from resources.models import ResourceServer
from resources.signals import servers_taken_over
from tokens.models import TokenFamily


@receiver(servers_taken_over)
def end_families(*, servers: Sequence[ResourceServer], now: datetime, **kwargs: Any) -> None:
    """End the families that name one of the servers, other services beside it or not.

    Otherwise they would work again if the organization that proved the domain lost it.
    """
    lost = {server.identifier: server.organization_id for server in servers}
    live = TokenFamily.objects.filter(revoked_at=None, expires_at__gt=now)
    # One scan: there may be many servers.
    named = live.filter(ListsAny("resource", lost)).values_list("pk", "resource_owners")
    ended = [pk for pk, owners in named if any(lost.get(name) == owner for name, owner in owners.items())]
    for some in batched(ended, BATCH):
        live.filter(pk__in=some).update(revoked_at=now)
