"""Count the token families that a stop would end."""

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.dispatch import receiver

from consent.impact import live_within
from developers.impact import Reach
from developers.signals import impact_counted
from tokens.models import TokenFamily


@receiver(impact_counted)
def count_families(*, reach: Reach, now: datetime, **kwargs: Any) -> dict[str, int]:
    """Return the number of families that can still yield tokens."""
    bounds = {"user": reach.user_id, "application": reach.agent_id, "application__organization": reach.organization_id}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    live = TokenFamily.objects.filter(revoked_at=None, expires_at__gt=now, **bounds)
    usable = live.filter(Q(consent=None) | Q(consent__in=live_within(reach, now).values("pk")))
    return {"live_tokens": usable.count()}
