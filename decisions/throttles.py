"""The throttle for anonymous verify requests."""

from django.conf import settings

from core.actor import Actor
from limits.quick_throttle import QuickThrottle
from limits.throttle import address_subjects


def throttle_anonymous(*, actor: Actor, questions: int = 1) -> None:
    """Count the requests of an anonymous caller by IP address. Raises `Throttled`."""
    throttle = QuickThrottle("verify", settings.THROTTLE_VERIFY)
    throttle.hit(*address_subjects(actor.ip or ""), number=questions)
