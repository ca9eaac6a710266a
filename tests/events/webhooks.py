"""Webhooks, made through the services, and what the follower queues for them."""

from typing import Any

from audit.sequencing.sequencer import sequence
from developers.acting import as_developer
from developers.models import Developer
from events.following import follow_once
from events.models import Delivery, Webhook
from events.services import CheckedUrl, WebhookSecret, create_webhook
from tests.world import ANONYMOUS

URL = CheckedUrl("https://hooks.example/in/t0ken")


def acting(developer: Developer) -> dict[str, Any]:
    """Return the caller of a service: the member, with an API key."""
    return {"actor": as_developer(ANONYMOUS, developer), "organization_id": developer.organization_id}


def make(developer: Developer, *types: str, **fields: Any) -> WebhookSecret:
    values = {**acting(developer), "url": URL, "types": types or ["*"], **fields}
    return create_webhook(**values)


def webhook_for(developer: Developer, *types: str, **fields: Any) -> Webhook:
    return make(developer, *types, **fields).webhook


def follow() -> None:
    """Let the sequencer and the follower do all that there is."""
    sequence()
    while follow_once():
        pass


def queue(developer: Developer, *types: str, **fields: Any) -> Webhook:
    """Make a webhook for which the entry of its own creation is outstanding."""
    sequence()
    webhook = webhook_for(developer, *types, **fields)
    follow()
    webhook.refresh_from_db()
    return webhook


def states(webhook: Webhook) -> list[tuple[str, bool]]:
    """Return the status of each delivery, oldest event first, and whether it is outstanding."""
    rows = Delivery.objects.filter(webhook=webhook).order_by("leaf_index")
    return [(one.status, one.due_at is not None) for one in rows]
