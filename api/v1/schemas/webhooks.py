"""Request and response models for webhooks and their deliveries."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import Field

from api.v1.schemas.base import Moment, Omittable, OneOf, Out, RequestBody, Text, WholeNumber
from api.v1.schemas.pages import PageQuery
from api.v1.schemas.policies import AgentId
from core.rotation import MAX_OVERLAP_SECONDS
from events.models import Delivery, Webhook
from events.selectors import progress_of
from events.services import MAX_AGENTS, OVERLAP_SECONDS, WebhookSecret
from events.types import MAX_TYPES
from events.urls import MAX_LENGTH

MAX_TYPE = 64

Url = Annotated[Text, Field(max_length=MAX_LENGTH)]
Types = Annotated[list[Annotated[Text, Field(max_length=MAX_TYPE)]], Field(min_length=1, max_length=MAX_TYPES)]
AgentIds = Annotated[list[AgentId], Field(min_length=1, max_length=MAX_AGENTS)]
Status = Annotated[str, OneOf(*Delivery.Status.values)]
ABOUT_URL = (
    "An https URL. Its host must have public addresses only, which is checked now and at each try. Redirects are not "
    "followed."
)
ABOUT_TYPES = (
    "Event types, such as `consent.revoked`, and patterns: `consent.*`, or `*` for all. Patterns leave out "
    "`token.verify`, the decisions, which must be named."
)
ABOUT_AGENTS = "The only agents whose events are sent, or null for all events."


class NewWebhookBody(RequestBody):
    """A webhook to create."""

    url: Url = Field(description=ABOUT_URL)
    types: Types = Field(description=ABOUT_TYPES)
    agent_ids: AgentIds | None = Field(None, description=ABOUT_AGENTS)
    enabled: bool = Field(default=True, description="Whether events are sent from now on.")


class UpdateWebhookBody(RequestBody):
    """Changes to a webhook."""

    url: Omittable[Url] = Field(None, description=f"{ABOUT_URL} What is outstanding goes to the new one.")
    types: Omittable[Types] = Field(None, description=ABOUT_TYPES)
    agent_ids: AgentIds | None = Field(None, description=ABOUT_AGENTS)
    enabled: Omittable[bool] = Field(
        None,
        description="If false, nothing is sent any more, and what is outstanding has failed. If true again, what "
        "happens from then on is sent.",
    )


class WebhookRotationBody(RequestBody):
    """How long the former secret signs beside the new one."""

    overlap_seconds: WholeNumber = Field(OVERLAP_SECONDS, ge=0, le=MAX_OVERLAP_SECONDS)


class ReplayBody(RequestBody):
    """From where events are sent again."""

    after: WholeNumber = Field(ge=0, description="The number of the last event that is not sent again, or 0 for all.")


class DeliveryQuery(PageQuery):
    """Which deliveries to list."""

    status: Omittable[Status] = Field(None, description="Only deliveries in this state.")


class WebhookOut(Out):
    """An endpoint of the organization's own, to which its events are sent."""

    id: str = Field(description="The webhook's id, `whk_...`.")
    url: str = Field(
        description="Where events are sent. Callers that may not change webhooks see only its scheme, host and port, "
        "because the rest can contain a token."
    )
    types: list[str] = Field(description=ABOUT_TYPES)
    agent_ids: list[str] | None = Field(description=ABOUT_AGENTS)
    enabled: bool = Field(description="Whether events are sent.")
    disabled_reason: Annotated[str, OneOf(*Webhook.Disabled.values)] | None = Field(
        description="Why it is switched off: by a `member`, because the receiver answered 410 (`gone`), or because it "
        "accepted nothing while an event was tried for the last time (`failing`). Null while it is enabled."
    )
    disabled_at: Moment | None = Field(description="When it was switched off, or null.")
    created_at: Moment
    sent_up_to: int = Field(
        description="Up to which number events were sent, or failed for good. Once it is enabled again, a replay after "
        "this number sends what it missed: read it before."
    )
    outstanding: int = Field(description="How many deliveries have a try before them. At most 100 wait at once.")


class NewWebhookOut(WebhookOut):
    """A new webhook with its secret, which is shown only once."""

    secret: str = Field(description="The secret that signs deliveries (Standard Webhooks), `whsec_...`.")


class RotatedWebhookSecretOut(Out):
    """A new secret of a webhook. The former one signs beside it until `previousSecretExpiresAt`."""

    id: str
    secret: str = Field(description="The secret that signs deliveries (Standard Webhooks), `whsec_...`.")
    previous_secret_expires_at: Moment


class WebhookTestOut(Out):
    """A test event that was logged."""

    event_id: str = Field(description="The id of the event, `log_...`, which is its `webhook-id`.")


class DeliveryOut(Out):
    """An event for a webhook, with its last try."""

    id: str = Field(description="The delivery's id, `dlv_...`.")
    event_id: str = Field(description="The id of the event, `log_...`, which is the `webhook-id` of each try.")
    number: int = Field(description="The number of the event in the organization's stream.")
    type: str = Field(description="The event's type.")
    attempt: int = Field(description="How many tries there were, also the one that is being made. 0 before the first.")
    status: Status = Field(
        description="`delivered` once the receiver has answered with 2xx, `retrying` while a try is to come, `failed` "
        "after the last one, or once the webhook is switched off."
    )
    response_status: int | None = Field(description="The status of the last answer, or null without one.")
    response_body: str = Field(description="The first 2,048 bytes of the last answer.")
    error: str | None = Field(description="Why the last try had no answer, as a word, or null.")
    duration_ms: int | None = Field(description="How long the last try took, in milliseconds, or null before it.")
    next_attempt_at: Moment | None = Field(description="When the next try is due, or null if there is none.")
    tried_at: Moment | None = Field(description="When the last try began, or null before it.")
    created_at: Moment


def show_webhook(webhook: Webhook, *, is_whole: bool) -> WebhookOut:
    return webhooks_shown(is_whole=is_whole)([webhook])[0]


def webhooks_shown(*, is_whole: bool) -> Callable[[Sequence[Webhook]], list[WebhookOut]]:
    """Return what shows webhooks: with their whole URLs, or without what can be a token."""
    return lambda rows: [WebhookOut(**fields) for fields in _fields(rows, is_whole=is_whole)]


def show_new_webhook(made: WebhookSecret) -> NewWebhookOut:
    return NewWebhookOut(**_fields([made.webhook], is_whole=True)[0], secret=made.secret)


def show_deliveries(deliveries: Sequence[Delivery]) -> list[DeliveryOut]:
    return [
        DeliveryOut(
            id=one.pk,
            event_id=one.entry_id,
            number=one.number,
            type=one.type,
            attempt=one.attempt,
            status=one.status,
            response_status=one.response_status,
            response_body=one.response_body,
            error=one.error or None,
            duration_ms=one.duration_ms,
            next_attempt_at=one.due_at,
            tried_at=one.tried_at,
            created_at=one.created_at,
        )
        for one in deliveries
    ]


def _fields(webhooks: Sequence[Webhook], *, is_whole: bool) -> list[dict[str, Any]]:
    progress = progress_of(webhooks)
    return [
        {
            "id": one.pk,
            "url": one.url if is_whole else one.origin,
            "types": one.types,
            "agent_ids": one.agent_ids,
            "enabled": one.is_enabled,
            "disabled_reason": one.disabled_reason or None,
            "disabled_at": one.disabled_at,
            "created_at": one.created_at,
            "sent_up_to": progress[one.pk][0],
            "outstanding": progress[one.pk][1],
        }
        for one in webhooks
    ]
