"""The throttle of writes of policies. Each makes every server process read the organization's policies again."""

from django.conf import settings

from limits.throttle import Subject, Throttle


def throttle_writes(organization_id: str) -> None:
    """Count a write of a policy by a developer of the organization. Raises `Throttled`. Call it before the write."""
    Throttle("policies", settings.THROTTLE_POLICIES).hit(Subject(f"organization:{organization_id}"))
