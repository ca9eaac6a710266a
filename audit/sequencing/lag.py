"""How late the log is."""

from audit.models import Journal
from core import clock


def lag_seconds() -> float:
    """Return for how many seconds the oldest row of the journal has waited for the sequencer, or 0 without one."""
    written_at = Journal.objects.order_by("pk").values_list("written_at", flat=True).first()
    return max(0.0, (clock.now() - written_at).total_seconds()) if written_at else 0.0
