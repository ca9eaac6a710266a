"""Create, change and delete an organization's webhooks, and send events again.

Owners and admins do this. A URL is checked by `check_url` before: the lookup of its host can take seconds, so call that
outside transactions.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NewType, TypedDict, Unpack

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from agents.models import Agent
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.crypto import seal
from core.errors import Invalid
from core.wording import Filled
from developers.acting import hold_developer, maker, require_recent_session
from developers.credential_mails import Made
from developers.roles import Right, require
from developers.services import hold_organizations
from events.errors import TooManyOutstanding, WebhookDisabled
from events.following import MAX_OUTSTANDING, start_of_now
from events.mails import mail_about_webhook
from events.models import Delivery, Follower, Webhook
from events.numbers import index_after, newest_number
from events.selectors import SEAL, deliveries_of, delivery_of, outstanding, require_found, secret_in_words, webhooks_of
from events.types import checked_types
from events.urls import checked_url
from limits.throttle import Subject, Throttle

MAX_WEBHOOKS = 20
MAX_AGENTS = 20
SECRET_BYTES = 32
OVERLAP_SECONDS = 86_400
TESTS = "10/minute"

CheckedUrl = NewType("CheckedUrl", str)


class Changes(TypedDict, total=False):
    """What of a webhook can change. Without `agent_ids`, that is None, it gets events about all agents."""

    url: CheckedUrl
    types: Sequence[str]
    agent_ids: Collection[str] | None
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A webhook with a new secret, which is shown only once."""

    webhook: Webhook
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RotatedWebhookSecret(WebhookSecret):
    """The same after a rotation. The former secret signs until `previous_expires_at`."""

    previous_expires_at: datetime


def check_url(url: str) -> CheckedUrl:
    """Return the URL in canonical form. Raises `Invalid` and `TooManyFetches`. Call it outside transactions."""
    return CheckedUrl(checked_url(url))


def create_webhook(
    *,
    actor: Actor,
    organization_id: str,
    url: CheckedUrl,
    types: Sequence[str],
    agent_ids: Collection[str] | None = None,
    is_enabled: bool = True,
) -> WebhookSecret:
    """Create a webhook, which gets what happens from now on. Return it with its secret, which cannot be read again.

    Raises `Invalid`, also for more than `MAX_WEBHOOKS`, `RoleInsufficient`, and `ReauthenticationRequired` if the
    actor's session is not of a recent sign-in.
    """
    types, newest = checked_types(types), newest_number(organization_id)
    with _acting(actor, organization_id):
        require_recent_session(actor)
        if webhooks_of(organization_id).count() >= MAX_WEBHOOKS:
            text = gettext_noop("An organization can have at most %(most)d webhooks. Delete one first.")
            raise Invalid.field("url", Filled(text, most=MAX_WEBHOOKS))
        now, secret = clock.now(), os.urandom(SECRET_BYTES)
        webhook = Webhook(
            organization_id=organization_id,
            url=url,
            types=types,
            agent_ids=_own_agents(organization_id, agent_ids),
            secret_sealed=seal(SEAL, secret),
            created_at=now,
            cursor_number=newest,
            made_by_id=maker(actor),
            made_at=now,
            secret_seen_by_id=maker(actor),
        )
        if is_enabled:
            webhook.cursor_index = start_of_now()
        else:
            _mark_off(webhook, now)
        webhook.save(force_insert=True)
        record_webhook(Event.WEBHOOK_CREATED, actor, webhook, **_facts(webhook))
        mail_about_webhook(Made.WEBHOOK, actor=actor, webhook=webhook)
    return WebhookSecret(webhook, secret_in_words(secret))


def update_webhook(*, actor: Actor, organization_id: str, webhook_id: str, **changes: Unpack[Changes]) -> Webhook:
    """Change the given fields and return the updated webhook.

    What is outstanding goes to the new URL, with all its tries, whatever the new types and agents are. Once the webhook
    is switched off, it has failed. Switched on, it gets what happens from then on. Raises `NotFound`, `Invalid`,
    `RoleInsufficient` and, for another URL, `ReauthenticationRequired` if the actor's session is not of a recent
    sign-in.
    """
    if "types" in changes:
        changes["types"] = checked_types(changes["types"])
    newest = newest_number(organization_id) if changes.get("is_enabled") else 0
    with _acting(actor, organization_id):
        webhook = _hold(organization_id, webhook_id)
        if "agent_ids" in changes:
            changes["agent_ids"] = _own_agents(organization_id, changes["agent_ids"])
        changed = sorted(name for name, value in changes.items() if getattr(webhook, name) != value)
        if "url" in changed:
            require_recent_session(actor)
        if changed:
            before = _facts(webhook)
            _apply(actor, webhook, {name: changes[name] for name in changed}, newest)  # type: ignore[literal-required]
            webhook.save()
            record_webhook(Event.WEBHOOK_UPDATED, actor, webhook, changed=changed, **_changes(before, _facts(webhook)))
        if "url" in changed:
            mail_about_webhook(Made.WEBHOOK_URL, actor=actor, webhook=webhook)
    return webhook


def delete_webhook(*, actor: Actor, organization_id: str, webhook_id: str) -> None:
    """Delete the webhook, so that nothing is sent to it any more. Raises `NotFound` and `RoleInsufficient`.

    A sweep removes its deliveries, which can be many.
    """
    with _acting(actor, organization_id):
        webhook = _hold(organization_id, webhook_id)
        record_webhook(Event.WEBHOOK_DELETED, actor, webhook, **_facts(webhook))
        delete_held(webhook, clock.now())


def rotate_secret(
    *, actor: Actor, organization_id: str, webhook_id: str, overlap_seconds: int = OVERLAP_SECONDS
) -> RotatedWebhookSecret:
    """Give the webhook a new secret. The former one signs beside it for another `overlap_seconds`, 0 to 604800.

    At most two sign: a rotation within an overlap ends the secret that the one before has replaced. Raises `NotFound`,
    `RoleInsufficient`, and `ReauthenticationRequired` if the actor's session is not of a recent sign-in.
    """
    with _acting(actor, organization_id):
        require_recent_session(actor)
        webhook = _hold(organization_id, webhook_id)
        now, secret = clock.now(), os.urandom(SECRET_BYTES)
        end = now + timedelta(seconds=overlap_seconds)
        webhook.former_sealed, webhook.former_until = (webhook.secret_sealed, end) if overlap_seconds else (None, None)
        webhook.secret_sealed = seal(SEAL, secret)
        webhook.made_by_id = webhook.secret_seen_by_id = maker(actor)
        webhook.made_at = now
        made = "made_by", "made_at", "secret_seen_by"
        webhook.save(update_fields=["former_sealed", "former_until", "secret_sealed", *made])
        record_webhook(Event.WEBHOOK_SECRET_ROTATED, actor, webhook, overlapSeconds=overlap_seconds)
        mail_about_webhook(Made.WEBHOOK_SECRET, actor=actor, webhook=webhook)
    return RotatedWebhookSecret(webhook, secret_in_words(secret), end)


def throttle_test(organization_id: str) -> None:
    """Count a test event. Raises `Throttled`. Call it before `send_test`, outside transactions."""
    Throttle("webhook-test", TESTS).hit(Subject(f"organization:{organization_id}"))


def send_test(*, actor: Actor, organization_id: str, webhook_id: str) -> str:
    """Log a test event, which only this webhook gets. Return its id. Call `throttle_test` first.

    Raises `NotFound`, `RoleInsufficient` and `WebhookDisabled`.
    """
    with _acting(actor, organization_id):
        webhook = _hold_enabled(organization_id, webhook_id)
        return record_webhook(Event.WEBHOOK_TEST, actor, webhook)


def replay(*, actor: Actor, organization_id: str, webhook_id: str, after: int) -> Webhook:
    """Send all events after this number again that the webhook wants, and return the webhook.

    Raises `NotFound`, `RoleInsufficient`, `WebhookDisabled`, and `Invalid` for a number that no event has yet.
    """
    newest = newest_number(organization_id)
    if not 0 <= after <= newest:
        raise Invalid.field("after", Filled(gettext_noop("Must be from 0 to %(newest)d, the newest."), newest=newest))
    index = index_after(organization_id, after)
    with _acting(actor, organization_id):
        webhook = _hold_enabled(organization_id, webhook_id)
        reached = webhook.cursor_index if webhook.cursor_index is not None else _next_index()
        if index < reached:
            webhook.cursor_index, webhook.cursor_number, webhook.due_at = index, after, clock.now()
            webhook.save(update_fields=["cursor_index", "cursor_number", "due_at"])
        record_webhook(Event.WEBHOOK_REPLAYED, actor, webhook, after=after)
    return webhook


def redeliver(*, actor: Actor, organization_id: str, webhook_id: str, delivery_id: str) -> Delivery:
    """Send an event again now, with all its tries before it. Return the delivery.

    Raises `NotFound`, `RoleInsufficient`, `WebhookDisabled`, and `TooManyOutstanding` if `MAX_OUTSTANDING` wait.
    """
    with _acting(actor, organization_id):
        webhook = _hold_enabled(organization_id, webhook_id)
        delivery = delivery_of(webhook, delivery_id)
        if delivery.due_at is None and outstanding(webhook).count() >= MAX_OUTSTANDING:
            text = gettext_noop("%(most)d deliveries of this webhook are outstanding.")
            raise TooManyOutstanding(Filled(text, most=MAX_OUTSTANDING))
        now = clock.now()
        start_again(deliveries_of(webhook).filter(pk=delivery.pk), now)
        Webhook.objects.filter(pk=webhook.pk).update(due_at=now)
        record_webhook(Event.WEBHOOK_REPLAYED, actor, webhook, deliveryId=delivery.pk, eventId=delivery.entry_id)
        delivery.refresh_from_db()
    return delivery


def hold_follower() -> None:
    """Let the follower wait until this transaction ends. Danger: lock its row before webhooks."""
    list(Follower.objects.select_for_update().order_by("pk"))


def start_again(deliveries: QuerySet[Delivery], now: datetime) -> None:
    """Let the deliveries of locked webhooks have all their tries before them.

    A try in flight is none of these, so what becomes of it is not recorded.
    """
    deliveries.update(status=Delivery.Status.RETRYING, attempt=0, due_at=now, first_tried_at=None)


def switch_off_held(webhook: Webhook, now: datetime, reason: str = Webhook.Disabled.MEMBER) -> None:
    """Switch off a locked webhook, which the caller saves. What is outstanding has failed, and a try in flight, too."""
    oldest = outstanding(webhook).values_list("number", flat=True).order_by("number").first()
    if oldest is not None:
        webhook.cursor_number = min(webhook.cursor_number, oldest - 1)
    outstanding(webhook).update(status=Delivery.Status.FAILED, due_at=None)
    _mark_off(webhook, now, reason)


def delete_held(webhook: Webhook, now: datetime) -> None:
    """Delete a locked webhook. Its secrets are gone at once."""
    switch_off_held(webhook, now)
    webhook.deleted_at, webhook.secret_sealed, webhook.former_sealed = now, b"", None
    webhook.save()


def record_webhook(event: Event, actor: Actor, webhook: Webhook, **metadata: Any) -> str:
    """Log an event of the webhook with its id and its host. Return the entry's id."""
    facts = {"webhookId": webhook.pk, "host": webhook.host, **metadata}
    return record(Draft(event=event, actor=actor, organization_id=webhook.organization_id, metadata=facts))


@contextmanager
def _acting(actor: Actor, organization_id: str) -> Iterator[None]:
    """Open a transaction in which an owner or admin acts and no other one changes the organization's webhooks."""
    with transaction.atomic():
        hold_developer(actor)
        require(actor.role, Right.ADMINISTER)
        hold_organizations([organization_id])
        yield


def _hold(organization_id: str, webhook_id: str) -> Webhook:
    """Lock a webhook until the transaction ends. Raises `NotFound`."""
    hold_follower()
    return require_found(webhooks_of(organization_id).select_for_update(), webhook_id)


def _hold_enabled(organization_id: str, webhook_id: str) -> Webhook:
    webhook = _hold(organization_id, webhook_id)
    if not webhook.is_enabled:
        raise WebhookDisabled
    return webhook


def _next_index() -> int:
    return Follower.objects.values_list("next_index", flat=True).first() or 0


def _mark_off(webhook: Webhook, now: datetime, reason: str = Webhook.Disabled.MEMBER) -> None:
    """Switch it off. No worker holds it any more, so none records the result of a try in flight."""
    webhook.is_enabled, webhook.disabled_reason, webhook.disabled_at = False, reason, now
    webhook.cursor_index = webhook.due_at = webhook.held_until = webhook.failing_since = None
    webhook.holder = ""


def _apply(actor: Actor, webhook: Webhook, changes: Mapping[str, Any], newest: int) -> None:
    """Change a locked webhook, which the caller saves. `newest` is the newest number, if it is to be switched on."""
    now = clock.now()
    for name, value in changes.items():
        setattr(webhook, name, value)
    if "url" in changes:
        webhook.made_by_id, webhook.made_at = maker(actor), now
        start_again(outstanding(webhook), now)
        webhook.due_at, webhook.failing_since = now, None
    if changes.get("is_enabled"):
        _switch_on(webhook, newest)
    elif "is_enabled" in changes:
        switch_off_held(webhook, now)


def _switch_on(webhook: Webhook, newest: int) -> None:
    webhook.disabled_reason, webhook.disabled_at = "", None
    webhook.cursor_index, webhook.cursor_number = start_of_now(), newest


def _own_agents(organization_id: str, wanted: Collection[str] | None) -> list[str] | None:
    """Return the ids, sorted. Raises `Invalid` unless they are 1 to `MAX_AGENTS` of the organization's agents."""
    if wanted is None:
        return None
    ids = sorted(set(wanted))
    if not 1 <= len(ids) <= MAX_AGENTS:
        text = gettext_noop("Must be 1 to %(most)d of the organization's agents. Leave it out for all of them.")
        raise Invalid.field("agentIds", Filled(text, most=MAX_AGENTS))
    found = Agent.objects.filter(organization_id=organization_id, pk__in=ids, deleted_at=None)
    if found.count() < len(ids):
        raise Invalid.field("agentIds", gettext_noop("At least one is not one of your organization's agents."))
    return ids


def _facts(webhook: Webhook) -> dict[str, Any]:
    """Return what the log says of a webhook. Of its URL only the host, because the rest can contain a token."""
    return {
        "host": webhook.host,
        "types": webhook.types,
        "agentIds": webhook.agent_ids,
        "enabled": webhook.is_enabled,
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs, with its former values."""
    facts = {name: value for name, value in after.items() if value != before[name]}
    return facts | {f"former{name[0].upper()}{name[1:]}": before[name] for name in facts}
