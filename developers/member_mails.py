"""The emails to members whose role has changed, or whom another member has removed, and about those who join."""

from django.utils.translation import gettext as _

from accounts.mail_text import Foreign, Words
from accounts.mails import Content, Link, Occasion, mail
from developers.roles import Role

MAX_NAME, MAX_ADDRESS = 200, 254
MAY = {
    Role.OWNER: _("Owners may do everything, including deleting the organization."),
    Role.ADMIN: _("Admins may do what developers may do, and manage members, invitations and the domain."),
    Role.DEVELOPER: _("Developers may change agents, secrets, policies and resource servers."),
    Role.AUDITOR: _("Auditors may read and export everything, but change nothing."),
}


@mail("member_role_changed", in_english=True)
def member_role_changed(occasion: Occasion) -> Content:
    organization, role = Foreign(occasion.facts["organization"], most=MAX_NAME), Role(occasion.facts["role"])
    return Content(
        subject=Words(_("Your role in %(organization)s has changed"), organization=organization),
        intro=[
            Words(_("Your role in %(organization)s is now %(role)s."), organization=organization, role=role.value),
            MAY[role],
            _("Your API keys of this organization may do no more than that."),
        ],
        button=Link.to(_("Open the developer portal"), "portal:overview", occasion.facts["organizationId"]),
    )


@mail("member_joined", in_english=True)
def member_joined(occasion: Occasion) -> Content:
    return _about_member(
        occasion,
        _("%(organization)s has a new member"),
        _("A user accepted an invitation to join %(organization)s."),
        _("If they should not be a member, remove them, and check who invited them."),
    )


@mail("member_raised", in_english=True)
def member_raised(occasion: Occasion) -> Content:
    return _about_member(
        occasion,
        _("A member of %(organization)s may do more"),
        _("A member of %(organization)s has a greater role now."),
        _("If they should not have it, change it back, and check who changed it."),
    )


def _about_member(occasion: Occasion, subject: str, intro: str, call: str) -> Content:
    organization, role = Foreign(occasion.facts["organization"], most=MAX_NAME), Role(occasion.facts["role"])
    return Content(
        subject=Words(subject, organization=organization),
        intro=[Words(intro, organization=organization)],
        facts=[(_("Member"), Foreign(occasion.facts["email"], most=MAX_ADDRESS)), (_("Role"), role.value)],
        call=[call],
        button=Link.to(_("See the members"), "portal:members", occasion.facts["organizationId"]),
    )


@mail("member_removed", in_english=True)
def member_removed(occasion: Occasion) -> Content:
    organization = Foreign(occasion.facts["organization"], most=MAX_NAME)
    return Content(
        subject=Words(_("You were removed from %(organization)s"), organization=organization),
        intro=[
            Words(_("You are no longer a member of %(organization)s on AgentGate."), organization=organization),
            _("Your API keys of this organization have ended. Your account is unchanged."),
        ],
        after=[_("If you think that this is a mistake, ask an owner or admin of the organization.")],
    )
