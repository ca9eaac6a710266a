"""Reads of webhooks and their deliveries."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime

from django.db.models import Count, Min, QuerySet

from core.crypto import SealBroken, open_sealed
from core.errors import NotFound
from events.models import Delivery, Webhook

SEAL = "webhook-secret"
SECRET_PREFIX = "whsec_"


def webhooks_of(organization_id: str) -> QuerySet[Webhook]:
    """Return the organization's webhooks, newest first."""
    return Webhook.objects.filter(organization_id=organization_id, deleted_at=None)


def webhook_of(organization_id: str, webhook_id: str) -> Webhook:
    """Return a webhook of the organization. Raises `NotFound`."""
    return require_found(webhooks_of(organization_id), webhook_id)


def require_found(rows: QuerySet[Webhook], webhook_id: str) -> Webhook:
    """Return the row with this id. Raises `NotFound`."""
    found: Webhook | None = rows.filter(pk=webhook_id).first()
    if found is None:
        raise NotFound("No such webhook.")
    return found


def deliveries_of(webhook: Webhook) -> QuerySet[Delivery]:
    """Return the deliveries of the webhook, newest first."""
    return Delivery.objects.filter(webhook=webhook).order_by("-id")


def delivery_of(webhook: Webhook, delivery_id: str) -> Delivery:
    """Return a delivery of the webhook. Raises `NotFound`."""
    found: Delivery | None = deliveries_of(webhook).filter(pk=delivery_id).first()
    if found is None:
        raise NotFound("No such delivery.")
    return found


def outstanding(webhook: Webhook) -> QuerySet[Delivery]:
    """Return the deliveries that still have a try before them, the oldest event first."""
    return Delivery.objects.filter(webhook=webhook).exclude(due_at=None).order_by("leaf_index")


def progress_of(webhooks: Iterable[Webhook]) -> Mapping[str, tuple[int, int]]:
    """Return for each webhook up to which number all is sent, and how many deliveries are outstanding.

    What has failed for good counts as sent. During a replay, it is how far that has come.
    """
    found = {one.pk: one for one in webhooks}
    rows = Delivery.objects.filter(webhook__in=found).exclude(due_at=None).order_by()
    counts = {
        webhook_id: (min(found[webhook_id].cursor_number, oldest - 1), number)
        for webhook_id, oldest, number in rows.values_list("webhook").annotate(Min("number"), Count("pk"))
    }
    return {pk: counts.get(pk, (one.cursor_number, 0)) for pk, one in found.items()}


def signing_secrets(webhook: Webhook, now: datetime) -> list[str]:
    """Return the secrets that sign at `now`, in the form `whsec_…`: the current one and, in a rotation, the former one.

    Raises `SealBroken` if the current one was encrypted with another `JWT_SECRET`. A former one then does not.
    """
    secrets = [open_sealed(SEAL, webhook.secret_sealed)]
    if webhook.former_sealed is not None and webhook.former_until is not None and webhook.former_until > now:
        with suppress(SealBroken):
            secrets.append(open_sealed(SEAL, webhook.former_sealed))
    return [secret_in_words(one) for one in secrets]


def secret_in_words(secret: bytes) -> str:
    """Return the secret in the form of Standard Webhooks."""
    return SECRET_PREFIX + b64encode(secret).decode()
