"""The organization's webhooks, their deliveries, and sending again."""

from typing import Any

from accounts.errors import ReauthenticationRequired
from api.endpoint import DeveloperEndpoint
from api.operations import operation
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.pages import Page, PageQuery, paginate
from api.v1.schemas.webhooks import (
    DeliveryOut,
    DeliveryQuery,
    NewWebhookBody,
    NewWebhookOut,
    ReplayBody,
    RotatedWebhookSecretOut,
    UpdateWebhookBody,
    WebhookOut,
    WebhookRotationBody,
    WebhookTestOut,
    show_deliveries,
    show_new_webhook,
    show_webhook,
    webhooks_shown,
)
from core.errors import Throttled
from core.fetching import TooManyFetches
from core.idempotency import Answer
from developers.roles import Right
from events.errors import TooManyOutstanding, WebhookDisabled
from events.models import Webhook
from events.selectors import deliveries_of, webhook_of, webhooks_of
from events.services import (
    MAX_WEBHOOKS,
    check_url,
    create_webhook,
    delete_webhook,
    redeliver,
    replay,
    rotate_secret,
    send_test,
    throttle_test,
    update_webhook,
)


class WebhookEndpoint(DeveloperEndpoint):
    def webhook(self, webhook_id: str) -> Webhook:
        return webhook_of(self.organization_id, webhook_id)

    def ids(self, webhook_id: str) -> dict[str, Any]:
        """Return what all services take."""
        return {"actor": self.actor, "organization_id": self.organization_id, "webhook_id": webhook_id}

    @property
    def sees_urls(self) -> bool:
        return self.access.may(Right.ADMINISTER)

    def show(self, webhook: Webhook) -> WebhookOut:
        return show_webhook(webhook, is_whole=self.sees_urls)


class Webhooks(WebhookEndpoint):
    @operation("listWebhooks", "List the organization's webhooks", answer=Page[WebhookOut], right=Right.READ)
    def get(self, query: PageQuery) -> Page[WebhookOut]:
        rows = webhooks_of(self.organization_id)
        return paginate(Page[WebhookOut], rows, query, webhooks_shown(is_whole=self.sees_urls))

    @operation(
        "createWebhook",
        "Create a webhook",
        description="It gets what happens from now on; a replay sends earlier events, too. Deliveries have the format "
        f"of Standard Webhooks. An organization has at most {MAX_WEBHOOKS} webhooks.",
        answer=NewWebhookOut,
        status=201,
        errors=(ReauthenticationRequired, TooManyFetches),
        repeatable=True,
        request_example={"url": "https://acme.example/events", "types": ["consent.*", "agent.stopped"]},
        right=Right.ADMINISTER,
    )
    def post(self, body: NewWebhookBody) -> Answer:
        credential = self.access.credential
        # Its host may not be found any more when the answer is asked for again.
        url = None if self.is_repeated(credential) else check_url(body.url)

        def work() -> NewWebhookOut:
            made = create_webhook(
                actor=self.actor,
                organization_id=self.organization_id,
                url=url or check_url(body.url),
                types=body.types,
                agent_ids=body.agent_ids,
                is_enabled=body.enabled,
            )
            return show_new_webhook(made)

        return self.answer_once(credential, work)


class OneWebhook(WebhookEndpoint):
    @operation("getWebhook", "Get a webhook", answer=WebhookOut, right=Right.READ)
    def get(self, webhook_id: str) -> WebhookOut:
        return self.show(self.webhook(webhook_id))

    @operation(
        "updateWebhook",
        "Update a webhook",
        answer=WebhookOut,
        errors=(ReauthenticationRequired, TooManyFetches),
        right=Right.ADMINISTER,
    )
    def patch(self, webhook_id: str, body: UpdateWebhookBody) -> WebhookOut:
        self.webhook(webhook_id)
        changes = {"is_enabled" if name == "enabled" else name: value for name, value in body.sent().items()}
        if body.url is not None:
            changes["url"] = check_url(body.url)
        return self.show(update_webhook(**self.ids(webhook_id), **changes))

    @operation(
        "deleteWebhook",
        "Delete a webhook",
        description="Nothing is sent to it any more, and the list of its deliveries is gone.",
        status=204,
        right=Right.ADMINISTER,
    )
    def delete(self, webhook_id: str) -> None:
        delete_webhook(**self.ids(webhook_id))


class RotateWebhookSecret(WebhookEndpoint):
    @operation(
        "rotateWebhookSecret",
        "Rotate a webhook's secret",
        description="The former secret signs beside the new one for `overlapSeconds`, by default a day. At most two "
        "sign: a rotation within an overlap ends the secret that the one before has replaced.",
        answer=RotatedWebhookSecretOut,
        errors=(ReauthenticationRequired,),
        repeatable=True,
        right=Right.ADMINISTER,
    )
    def post(self, webhook_id: str, body: WebhookRotationBody) -> Answer:
        def work() -> RotatedWebhookSecretOut:
            new = rotate_secret(**self.ids(webhook_id), overlap_seconds=body.overlap_seconds)
            return RotatedWebhookSecretOut(
                id=new.webhook.pk, secret=new.secret, previous_secret_expires_at=new.previous_expires_at
            )

        return self.answer_once(self.access.credential, work)


class SendTest(WebhookEndpoint):
    @operation(
        "testWebhook",
        "Send a test event",
        description="The event `webhook.test` is logged and goes to this webhook only, whatever its types are.",
        answer=WebhookTestOut,
        errors=(Throttled, WebhookDisabled),
        repeatable=True,
        right=Right.ADMINISTER,
    )
    def post(self, webhook_id: str, body: EmptyBody) -> Answer:
        credential = self.access.credential
        self.webhook(webhook_id)
        if not self.is_repeated(credential):
            throttle_test(self.organization_id)
        return self.answer_once(credential, lambda: WebhookTestOut(event_id=send_test(**self.ids(webhook_id))))


class ReplayWebhook(WebhookEndpoint):
    @operation(
        "replayWebhook",
        "Send all events after a number again",
        description="All events of the log after this number are sent that the webhook wants now, in their order, "
        "those that it has received, too: each has the same `webhook-id` as before.",
        answer=WebhookOut,
        errors=(WebhookDisabled,),
        repeatable=True,
        request_example={"after": 4711},
        right=Right.ADMINISTER,
    )
    def post(self, webhook_id: str, body: ReplayBody) -> Answer:
        def work() -> WebhookOut:
            return self.show(replay(**self.ids(webhook_id), after=body.after))

        return self.answer_once(self.access.credential, work)


class Deliveries(WebhookEndpoint):
    @operation(
        "listDeliveries",
        "List a webhook's deliveries",
        description="Deliveries are kept for 30 days.",
        answer=Page[DeliveryOut],
        right=Right.READ,
    )
    def get(self, webhook_id: str, query: DeliveryQuery) -> Page[DeliveryOut]:
        rows = deliveries_of(self.webhook(webhook_id))
        if query.status is not None:
            rows = rows.filter(status=query.status)
        return paginate(Page[DeliveryOut], rows, query, show_deliveries)


class Redeliver(WebhookEndpoint):
    @operation(
        "redeliver",
        "Send an event to a webhook again",
        description="It is tried now and, if that fails, as often as a new event.",
        answer=DeliveryOut,
        errors=(TooManyOutstanding, WebhookDisabled),
        repeatable=True,
        right=Right.ADMINISTER,
    )
    def post(self, webhook_id: str, delivery_id: str, body: EmptyBody) -> Answer:
        def work() -> DeliveryOut:
            return show_deliveries([redeliver(**self.ids(webhook_id), delivery_id=delivery_id)])[0]

        return self.answer_once(self.access.credential, work)
