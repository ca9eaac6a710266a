"""Limits on who may ask how often."""

from django.conf import settings

from core.actor import Actor
from limits.quick_throttle import QuickThrottle
from limits.throttle import address_subjects


def throttle_anonymous(*, actor: Actor, questions: int = 1) -> None:
    """Count questions of a caller without a credential, by address. Raises `Throttled`."""
    throttle = QuickThrottle("verify", settings.THROTTLE_VERIFY)
    throttle.hit(*address_subjects(actor.ip or ""), number=questions)
