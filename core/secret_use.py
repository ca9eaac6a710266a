"""When a named secret was last used, for the developer who wants to know which ones can be revoked."""

from datetime import timedelta

from django.db.models import Q

from core import clock
from core.rotation import NamedSecret

# The use of a secret is recorded at most once in this time.
USE_PRECISION = timedelta(minutes=10)


def note_use(secret: NamedSecret) -> None:
    """Record that the secret was used now. Of several uses at once, one writes."""
    now = clock.now()
    if secret.last_used_at is None or now - secret.last_used_at >= USE_PRECISION:
        is_old = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_PRECISION)
        type(secret)._default_manager.filter(is_old, pk=secret.pk).update(last_used_at=now)
