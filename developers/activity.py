"""When members were last active."""

from django.db.models import Q

from core import clock
from core.rotation import USE_PRECISION
from developers.models import Developer


def note_activity(member: Developer) -> None:
    """Record that a session or an API key of the member acts now. Of several requests at once, one writes."""
    now = clock.now()
    if member.last_active_at is None or now - member.last_active_at >= USE_PRECISION:
        is_old = Q(last_active_at=None) | Q(last_active_at__lte=now - USE_PRECISION)
        Developer.objects.filter(is_old, pk=member.pk).update(last_active_at=now)
