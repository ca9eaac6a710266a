"""Tell an organization's owners and admins by email that it has a new API key, which no departure ends."""

from django.utils.translation import gettext as _

from accounts.mail_text import Foreign, Words
from accounts.mails import Content, Link, Occasion, mail
from accounts.notices import add_notice
from core import clock
from core.actor import Actor
from developers.models import ApiKey, Developer
from developers.roles import Right, roles_with
from developers.selectors import members_of


def mail_administrators(*, developer: Developer, actor: Actor, key: ApiKey) -> None:
    """Mail the active owners and admins. The developer whose session made the key gets another email about it."""
    told = members_of(str(developer.organization_id)).filter(
        role__in=roles_with(Right.ADMINISTER), user__is_active=True
    )
    facts = {
        "organizationId": developer.organization_id,
        "organization": developer.organization.name,
        "name": key.name,
        "role": key.get_role_display(),
        "maker": developer.user.email,
    }
    for member in told.exclude(pk=developer.pk) if actor.by_session else told:
        add_notice("organization_key_made", user=member.user, actor=actor, at=clock.now(), facts=facts)


@mail("organization_key_made", in_english=True)
def organization_key_made(occasion: Occasion) -> Content:
    facts = occasion.facts
    return Content(
        subject=Words(_("%(organization)s has a new API key"), organization=Foreign(facts["organization"])),
        intro=[_("The key belongs to the organization. It keeps working when the member who made it leaves.")],
        facts=[
            (_("Name"), Foreign(facts["name"])),
            (_("Role"), facts["role"]),
            (_("Made by"), Foreign(facts["maker"])),
        ],
        call=[_("If your organization does not need this key, revoke it.")],
        button=Link.to(_("See the API keys"), "portal:api-keys", facts["organizationId"]),
    )
