"""The webhooks whose secret a member saw, and their rotation when the member leaves (`agents.departures`).

With the secret, a past member can sign events that receivers believe.
"""

from agents.departures import RotatedSecret
from core.actor import Actor
from core.errors import DomainError
from developers.credential_mails import Made
from developers.models import Developer
from events.models import Webhook
from events.selectors import webhooks_of
from events.services import OVERLAP_SECONDS, rotate_secret


def webhooks_seen_by(member: Developer) -> list[Webhook]:
    """Return the organization's webhooks whose current secret the member, also a past one, saw, newest first."""
    return list(webhooks_of(member.organization_id).filter(secret_seen_by=member))


def rotate_webhooks_seen_by(
    *, actor: Actor, member: Developer, overlap_seconds: int = OVERLAP_SECONDS
) -> list[RotatedSecret]:
    """Rotate these secrets. Return the new ones, which are shown once, and why others could not be rotated."""
    return [_rotate(actor, webhook, overlap_seconds) for webhook in webhooks_seen_by(member)]


def _rotate(actor: Actor, webhook: Webhook, overlap_seconds: int) -> RotatedSecret:
    of = Made.WEBHOOK_SECRET, webhook.pk, webhook.host, ""
    ids = {"organization_id": webhook.organization_id, "webhook_id": webhook.pk}
    try:
        new = rotate_secret(actor=actor, **ids, overlap_seconds=overlap_seconds)
    except DomainError as error:
        return RotatedSecret(*of, problem=error.translated)
    return RotatedSecret(*of, new.secret, new.previous_expires_at)
