"""The emails to developers about the proof of their organization's domain."""

from datetime import datetime

from django.utils.translation import gettext as _

from accounts.mail_text import Foreign, Words
from accounts.mails import Content, Item, Link, Occasion, mail
from core.formats import exactly

MAX_DOMAIN = 253


@mail("domain_failing", in_english=True)
def domain_failing(occasion: Occasion) -> Content:
    domain = Foreign(occasion.facts["domain"], most=MAX_DOMAIN)
    end = exactly(datetime.fromisoformat(occasion.facts["until"]), "short")
    return Content(
        subject=Words(_("The proof of %(domain)s is missing"), domain=domain),
        intro=[
            Words(_("We can no longer find the proof that your organization controls %(domain)s."), domain=domain),
            Words(
                _(
                    "The consent screen of your agents shows this domain until %(end)s, or until another organization "
                    "proves it. After that, it is no longer shown, unless we find the proof again."
                ),
                end=end,
            ),
        ],
        button=_to_domain(_("See what to publish"), occasion),
        after=[_("There you can also let us check it at once.")],
    )


@mail("domain_lost", in_english=True)
def domain_lost(occasion: Occasion) -> Content:
    domain = Foreign(occasion.facts["domain"], most=MAX_DOMAIN)
    return Content(
        subject=Words(_("%(domain)s is no longer shown to users"), domain=domain),
        intro=[
            Words(_("The proof that your organization controls %(domain)s is gone."), domain=domain),
            _("The consent screen of your agents no longer shows this domain."),
        ],
        button=_to_domain(_("Prove it again"), occasion),
    )


@mail("services_lost", in_english=True)
def services_lost(occasion: Occasion) -> Content:
    domain = Foreign(occasion.facts["domain"], most=MAX_DOMAIN)
    left = occasion.facts["others"]
    return Content(
        subject=Words(_("Your resource servers in %(domain)s were deleted"), domain=domain),
        intro=[
            Words(_("Another organization has proved that it controls %(domain)s."), domain=domain),
            _("So your resource servers there were deleted, and the tokens for them no longer work:"),
        ],
        items=[Item(Foreign(one, most=MAX_DOMAIN)) for one in occasion.facts["identifiers"]],
        more=_("and %(number)s more") % {"number": left} if left else "",
        call=[_("If the domain is yours, prove it. Your own proof then counts.")],
        button=_to_domain(_("Prove the domain"), occasion),
    )


def _to_domain(label: str, occasion: Occasion) -> Link:
    # Notices that waited during an upgrade do not name the organization, so the portal finds it.
    organization_id = occasion.facts.get("organizationId")
    if organization_id is None:
        return Link.to(label, "web:developer-elsewhere", "settings/domain")
    return Link.to(label, "portal:domain", organization_id)
