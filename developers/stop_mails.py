"""The emails to owners and admins about their organization's own stop and its deletion."""

from datetime import datetime

from django.utils.translation import gettext as _

from accounts.account_mails import origin
from accounts.mail_text import Foreign, Words
from accounts.mails import Content, Link, Occasion, mail
from core.formats import exactly


@mail("organization_stopped", in_english=True)
def organization_stopped(occasion: Occasion) -> Content:
    name, reason = Foreign(occasion.facts["organization"]), Foreign(occasion.facts["reason"])
    return Content(
        subject=_("All agents of your organization are stopped"),
        intro=[
            Words(_("A member stopped all agents of %(name)s. All their requests are denied."), name=name),
            _("Nothing is deleted, and no user loses a connection. An owner or admin can lift the stop."),
        ],
        facts=[(_("Reason"), reason), *_origin(occasion)],
        button=Link.to(_("Open your organization"), "portal:overview", occasion.facts["organizationId"]),
    )


@mail("organization_deleting", in_english=True)
def organization_deleting(occasion: Occasion) -> Content:
    name = Foreign(occasion.facts["organization"])
    end = exactly(datetime.fromisoformat(occasion.facts["until"]), "short")
    return Content(
        subject=_("Your organization will be deleted"),
        intro=[
            Words(_("An owner asked to delete %(name)s. It will be deleted on %(end)s."), name=name, end=end),
            _("Until then, all requests from its agents and to its services are denied, and nobody can change it."),
        ],
        facts=_origin(occasion),
        call=[_("If this is a mistake, an owner can restore the organization until then.")],
        button=Link.to(_("Open your organization"), "portal:overview", occasion.facts["organizationId"]),
    )


@mail("organization_restored", in_english=True)
def organization_restored(occasion: Occasion) -> Content:
    name = Foreign(occasion.facts["organization"])
    return Content(
        subject=_("Your organization will not be deleted"),
        intro=[Words(_("An owner restored %(name)s. Its agents and services work as they did before."), name=name)],
        facts=_origin(occasion),
        button=Link.to(_("Open your organization"), "portal:overview", occasion.facts["organizationId"]),
    )


def _origin(occasion: Occasion) -> list[tuple[str, str]]:
    return [(_("Member"), Foreign(occasion.facts["by"])), *origin(occasion)]
