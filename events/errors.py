"""Errors about webhooks."""

from django.utils.translation import gettext_noop

from core.errors import Conflict


class WebhookDisabled(Conflict):
    """The webhook is switched off, so nothing is sent to it."""

    code = "webhook_disabled"
    title = gettext_noop("The webhook is switched off")
    remedy = "Enable the webhook first."


class TooManyOutstanding(Conflict):
    """As many deliveries wait for the webhook as it can have."""

    code = "too_many_outstanding"
    title = gettext_noop("Too many deliveries are outstanding")
    remedy = "Wait until the receiver has accepted some of them."
