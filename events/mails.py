"""Tell an organization's owners and admins by email what happened to its webhooks."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from accounts.account_mails import origin
from accounts.mail_text import Foreign, Words
from accounts.mails import Content, Link, Occasion, mail
from accounts.notices import add_notice
from core import clock
from core.actor import SYSTEM, Actor
from developers.credential_mails import Made, mail_about_credential
from developers.models import Developer
from developers.roles import Right, roles_with
from developers.selectors import members_of
from events.models import Webhook

MADE = {
    Made.WEBHOOK: _("A webhook was created. Events of your organization are sent to this host."),
    Made.WEBHOOK_URL: _("The URL of a webhook was changed. Events of your organization are sent to this host."),
    Made.WEBHOOK_SECRET: _("The secret of a webhook was rotated. It signs all that is sent to this host."),
}
WHY = {
    Webhook.Disabled.GONE: _("The receiver answered 410, which says that it is gone."),
    Webhook.Disabled.FAILING: _("The receiver accepted nothing while an event was tried again for several days."),
}


def mail_about_webhook(made: Made, *, actor: Actor, webhook: Webhook) -> None:
    """Mail the developer whose session did it, and the other owners and admins."""
    mail_about_credential(made, actor=actor, name=webhook.host)
    by = Developer.objects.select_related("user").filter(pk=actor.id or "").first()
    own = by.pk if by and actor.by_session else None
    facts = {"made": made, "maker": by.user.email if by else ""}
    _tell("webhook_made", webhook, actor, clock.now(), facts, without=own)


def mail_about_switched_off(webhook: Webhook, at: datetime) -> None:
    """Mail the owners and admins that a webhook was switched off. Call it in the transaction that does so."""
    _tell("webhook_switched_off", webhook, SYSTEM, at, {"reason": webhook.disabled_reason})


@mail("webhook_made", in_english=True)
def webhook_made(occasion: Occasion) -> Content:
    facts = occasion.facts
    return Content(
        subject=Words(_("A webhook of %(organization)s was changed"), organization=Foreign(facts["organization"])),
        intro=[MADE[Made(facts["made"])]],
        facts=[
            (_("Host"), Foreign(facts["host"])),
            *([(_("Made by"), Foreign(facts["maker"]))] if facts["maker"] else []),
            *origin(occasion),
        ],
        call=[_("If your organization does not send its events there, delete the webhook.")],
        button=Link.to(_("See the webhooks"), "portal:webhooks", facts["organizationId"]),
    )


@mail("webhook_switched_off", in_english=True)
def webhook_switched_off(occasion: Occasion) -> Content:
    facts = occasion.facts
    return Content(
        subject=Words(_("A webhook of %(organization)s was switched off"), organization=Foreign(facts["organization"])),
        intro=[
            WHY[Webhook.Disabled(facts["reason"])],
            _("Nothing is sent to it now. The log of your organization keeps all events."),
        ],
        facts=[(_("Host"), Foreign(facts["host"]))],
        call=[_("Once the receiver works, enable the webhook. Then you can have the events sent that it missed.")],
        button=Link.to(_("See the webhook"), "portal:webhook", facts["organizationId"], facts["webhookId"]),
    )


def _tell(
    name: str, webhook: Webhook, actor: Actor, at: datetime, facts: dict[str, Any], *, without: str | None = None
) -> None:
    told = members_of(webhook.organization_id).filter(role__in=roles_with(Right.ADMINISTER), user__is_active=True)
    organization = webhook.organization
    given = {
        "organizationId": organization.pk,
        "organization": organization.name,
        "webhookId": webhook.pk,
        "host": webhook.host,
        **facts,
    }
    for member in told.exclude(pk=without) if without else told:
        add_notice(name, user=member.user, actor=actor, at=at, facts=given)
