"""The throttle for consent requests."""

from django.conf import settings

from core.actor import Actor
from limits.throttle import Throttle, address_subjects


def throttle_request(actor: Actor) -> None:
    """Count a consent request by IP address. Raises `Throttled` beyond `THROTTLE_INITIATE`.

    The JSON API, `/oauth/authorize` and PAR share the count.
    """
    Throttle("initiate", settings.THROTTLE_INITIATE).hit(*address_subjects(actor.ip or ""))
