"""The state of a webhook and of a delivery, in the words of the pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from core import clock
from core.posting import Failure
from events.following import MAX_OUTSTANDING
from events.models import Delivery, Webhook
from events.numbers import newest_number
from events.selectors import progress_of
from events.sending import NOT_IN_LOG

Disabled = Webhook.Disabled
# Of its event types, a list names these.
SHOWN_TYPES = 3
ACCEPTED, REDIRECTS = range(200, 300), range(300, 400)
OFF, DROPPED = "off", "dropped"
WAITING, FAILING, BEHIND, DELIVERING, READY = "waiting", "failing", "behind", "delivering", "ready"
# The color of each state, and its word.
STATES: Mapping[str, tuple[str, str | Promise]] = {
    OFF: ("", gettext_lazy("Switched off")),
    DROPPED: ("bad", gettext_lazy("Switched off by AgentGate")),
    WAITING: ("bad", gettext_lazy("Failing, events wait")),
    FAILING: ("bad", gettext_lazy("Failing")),
    BEHIND: ("note", gettext_lazy("Catching up")),
    DELIVERING: ("good", gettext_lazy("Delivering")),
    READY: ("note", gettext_lazy("Ready")),
    Delivery.Status.DELIVERED: ("good", gettext_lazy("Delivered")),
    Delivery.Status.RETRYING: ("warn", gettext_lazy("Retrying")),
    Delivery.Status.FAILED: ("bad", gettext_lazy("Failed")),
    "queued": ("note", gettext_lazy("Queued")),
}
# Why a try has no answer, and what to do about it.
ERRORS: Mapping[str, tuple[str | Promise, str | Promise]] = {
    "": ("", ""),
    Failure.TIMEOUT: (
        gettext_lazy("No answer within 10 seconds"),
        gettext_lazy("Answer at once, and do the work afterwards."),
    ),
    Failure.NO_ADDRESS: (
        gettext_lazy("The host has no address"),
        gettext_lazy("Check the spelling of the URL, and the records of the host in DNS."),
    ),
    Failure.ADDRESS_REFUSED: (
        gettext_lazy("The host has an address that is not public"),
        gettext_lazy("All addresses of the host must be on the internet."),
    ),
    Failure.TLS: (
        gettext_lazy("No secure connection"),
        gettext_lazy("The certificate must be valid for this host, and issued by a public authority."),
    ),
    Failure.CONNECTION: (
        gettext_lazy("The connection was refused or broke off"),
        gettext_lazy("Check that your endpoint runs and that its firewall lets us in."),
    ),
    Failure.PROTOCOL: (gettext_lazy("The answer is not HTTP"), gettext_lazy("Check the port of the URL.")),
    NOT_IN_LOG: (gettext_lazy("Not sent"), gettext_lazy("The log no longer has this event.")),
}
REDIRECTED = gettext_lazy("Redirects are not followed. Enter the URL to which it leads.")
REFUSED = gettext_lazy("A status from 200 to 299 counts as delivered.")


@dataclass(frozen=True, slots=True)
class Pill:
    """A state in a word."""

    name: str

    @property
    def tone(self) -> str:
        return STATES[self.name][0]

    @property
    def word(self) -> str | Promise:
        return STATES[self.name][1]


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """A webhook. All events up to the number `sent_to` were sent, of `newest`, and `outstanding` more are tried."""

    webhook: Webhook
    sent_to: int
    outstanding: int
    newest: int

    @property
    def pill(self) -> Pill:
        return Pill(self._state)

    @property
    def _state(self) -> str:
        webhook = self.webhook
        if not webhook.is_enabled:
            return DROPPED if webhook.disabled_reason in (Disabled.GONE, Disabled.FAILING) else OFF
        if webhook.failing_since:
            return WAITING if self.outstanding >= MAX_OUTSTANDING else FAILING
        if webhook.cursor_index is not None and webhook.cursor_number < self.newest:
            return BEHIND
        return DELIVERING if webhook.delivered_at else READY

    @property
    def types(self) -> Sequence[str]:
        return self.webhook.types[:SHOWN_TYPES]

    @property
    def more_types(self) -> int:
        return max(len(self.webhook.types) - SHOWN_TYPES, 0)

    @property
    def is_signed_twice(self) -> bool:
        """Return whether the former secret signs beside the current one."""
        until = self.webhook.former_until
        return until is not None and until > clock.now()


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """An event for a webhook, with its last try."""

    delivery: Delivery

    @property
    def pill(self) -> Pill:
        is_untried = self.delivery.status == Delivery.Status.RETRYING and not self.delivery.attempt
        return Pill("queued" if is_untried else self.delivery.status)

    @property
    def next_try(self) -> datetime | None:
        """When it is tried next, unless that is now."""
        due = self.delivery.due_at
        return due if due is not None and due > clock.now() else None

    @property
    def answer(self) -> str:
        """What the endpoint answered, or why it did not answer."""
        status = self.delivery.response_status
        if status is not None:
            return f"{status} {_phrase(status)}".strip()
        return str(ERRORS[self.delivery.error][0])

    @property
    def advice(self) -> str | Promise:
        """What to do about it. Empty if it was delivered, or not tried yet."""
        status = self.delivery.response_status
        if status is None:
            return ERRORS[self.delivery.error][1]
        if status in ACCEPTED:
            return ""
        return REDIRECTED if status in REDIRECTS else REFUSED


def rows_of(organization_id: str, webhooks: Sequence[Webhook]) -> list[WebhookRow]:
    """Return the rows of an organization's webhooks."""
    newest, progress = newest_number(organization_id), progress_of(webhooks)
    return [WebhookRow(one, *progress[one.pk], newest) for one in webhooks]


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus else ""
