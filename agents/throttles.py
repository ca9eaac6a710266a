"""Limits on how often an organization may create rows."""

from django.conf import settings

from limits.throttle import Subject, Throttle


def throttle_agents(organization_id: str) -> None:
    """Count a newly registered agent. Raises `Throttled` after too many."""
    Throttle("agents", settings.THROTTLE_AGENTS).hit(Subject(f"organization:{organization_id}"))
