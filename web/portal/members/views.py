"""Settings > Members: who belongs to the organization, with which role, and who is invited."""

import json
from dataclasses import asdict, dataclass

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from agents.departures import rotate_secrets_of, secrets_made_by
from core import clock
from core.errors import Conflict, NotFound, Throttled
from core.http import SeeOther
from core.text import plain_text
from developers.errors import LastOwner
from developers.invitations import invitation_of, invite, open_invitations_of, revoke_invitation
from developers.members import change_role, end_membership
from developers.membership_errors import InvitationEnded
from developers.models import Developer, Invitation
from developers.role_words import ALLOWED, NAMES
from developers.roles import Right, Role, covers, may
from developers.selectors import api_keys_for_developer, member_of, members_of, organization_keys_made_by
from events.departures import rotate_webhooks_seen_by, webhooks_seen_by
from events.selectors import webhooks_of
from web.portal.agents.forms import RotateForm
from web.portal.members.forms import Choices, InviteForm, SearchForm, role_field, roles_of
from web.requests import once
from web.requests.access import developer_actor, developer_form, developer_page, for_developers, posted_from
from web.requests.kept_post import take_initial
from web.requests.portal import portal_url

# Fewer than these are seen at a glance.
MANY = 8


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member. `roles` are what the viewer can choose for them, none if the viewer may not change them."""

    member: Developer
    is_self: bool
    roles: Choices

    @property
    def is_removable(self) -> bool:
        return bool(self.roles) and not self.is_self


@developer_form(Right.READ, post=Right.ADMINISTER)
def members(request: HttpRequest, developer: Developer) -> HttpResponse:
    """List the members and the open invitations. POST invites someone."""
    data = request.POST if request.method == "POST" else None
    form = InviteForm(data, initial=take_initial(request, InviteForm), member=developer)
    if form.is_valid():
        try:
            _invite(request, developer, form.cleaned_data["email"], form.cleaned_data["role"])
        except (Conflict, Throttled) as error:
            form.add_error("email", error.translated)
        else:
            return SeeOther(_list_url(developer))
    found, search = members_of(developer.organization_id), SearchForm(request.GET)
    query = search.cleaned_data["q"] if search.is_valid() else ""
    if query:
        found = found.filter(Q(user__name__icontains=query) | Q(user__email__icontains=query))
    total = members_of(developer.organization_id).count()
    may_invite = may(developer.role, Right.ADMINISTER)
    context = {
        "form": form,
        "search": search,
        "query": query,
        "is_searchable": total > MANY or query,
        "total": total,
        "rows": [_row(member, developer) for member in found],
        "invitations": open_invitations_of(developer.organization_id) if may_invite else [],
    }
    return render(request, "web/portal/members/members.html", context, status=422 if form.is_bound else 200)


@for_developers(Right.ADMINISTER)
@posted_from("portal:members", "organization_id")
def role(request: HttpRequest, developer: Developer, member_id: str) -> HttpResponse:
    """Give a member another role."""
    chosen = role_field(developer)
    if chosen.valid_value(wanted := request.POST.get("role", "")):
        actor, organization_id = developer_actor(request, developer), developer.organization_id
        try:
            member = change_role(actor=actor, organization_id=organization_id, member_id=member_id, role=wanted)
        except LastOwner as error:
            messages.error(request, error.translated)
        else:
            words = {"name": _name(member), "role": NAMES[Role(member.role)]}
            messages.success(request, _("%(name)s now has the role %(role)s.") % words)
    else:
        messages.error(request, _("Choose one of the roles."))
    return SeeOther(_list_url(developer))


@developer_form(Right.ADMINISTER)
def remove(request: HttpRequest, developer: Developer, member_id: str) -> HttpResponse:
    """Say what ends and what the member has seen, and remove them."""
    member, organization_id = _find(developer, member_id), developer.organization_id
    words = {"name": _name(member), "organization": plain_text(developer.organization.name)}
    problem = ""
    if request.method == "POST":
        try:
            end_membership(
                actor=developer_actor(request, developer), organization_id=organization_id, member_id=member_id
            )
        except LastOwner as error:
            problem = error.translated
        else:
            messages.success(
                request, _("%(name)s is no longer a member. Their access and their API keys have ended.") % words
            )
            return SeeOther(_secrets_url(developer, member) if _has_seen(member) else _list_url(developer))
    context = {
        "member": member,
        "problem": problem,
        "keys": api_keys_for_developer(member),
        "invited": open_invitations_of(organization_id).filter(invited_by=member).count(),
        "secrets": secrets_made_by(member),
        "webhooks": webhooks_seen_by(member),
        "receivers": webhooks_of(organization_id).filter(is_enabled=True),
        "organization_keys": organization_keys_made_by(member),
        "title": _("Remove %(name)s from %(organization)s?") % words,
        "confirm_label": _("Remove member"),
        "back_url": _list_url(developer),
    }
    return render(request, "web/portal/members/member_remove.html", context, status=409 if problem else 200)


@developer_form(Right.READ, post=Right.DEVELOP)
def secrets(request: HttpRequest, developer: Developer, member_id: str) -> HttpResponse:
    """List the secrets that a member, also a past one, made. POST rotates all of them, and shows the new ones once."""
    member = member_of(developer.organization_id, member_id)
    form = RotateForm(request.POST if request.method == "POST" else None, initial=take_initial(request, RotateForm))
    if form.is_valid():
        wanted = {"actor": developer_actor(request, developer), "member": member, **form.cleaned_data}
        new = [*rotate_secrets_of(**wanted), *rotate_webhooks_seen_by(**wanted)]
        once.put(request, member.id, json.dumps([asdict(one) for one in new], default=str))
        return SeeOther(_secrets_url(developer, member))
    shown = once.take(request, member.id)
    context = {
        "member": member,
        "secrets": secrets_made_by(member),
        "webhooks": webhooks_seen_by(member),
        "organization_keys": organization_keys_made_by(member),
        "new": json.loads(shown) if shown else None,
        "form": form,
        "back_url": _list_url(developer),
    }
    return render(request, "web/portal/members/member_secrets.html", context, status=422 if form.is_bound else 200)


@for_developers(Right.ADMINISTER)
@posted_from("portal:members", "organization_id")
def resend(request: HttpRequest, developer: Developer, invitation_id: str) -> HttpResponse:
    """Replace an open invitation by a new one, which is mailed and open for as long as every other."""
    invitation = invitation_of(developer.organization_id, invitation_id)
    try:
        if invitation.status_at(clock.now()) not in (Invitation.Status.PENDING, Invitation.Status.EXPIRED):
            raise InvitationEnded  # since the page was opened, perhaps by the first click of two
        _invite(request, developer, invitation.email, invitation.role)
    except (Conflict, Throttled) as error:
        messages.error(request, error.translated)
    return SeeOther(_list_url(developer))


@for_developers(Right.ADMINISTER)
@posted_from("portal:members", "organization_id")
def revoke(request: HttpRequest, developer: Developer, invitation_id: str) -> HttpResponse:
    actor, organization = developer_actor(request, developer), developer.organization
    try:
        revoke_invitation(actor=actor, organization=organization, invitation_id=invitation_id)
    except Conflict as error:
        messages.error(request, error.translated)
    else:
        messages.success(request, _("Revoked. The invitation can no longer be accepted."))
    return SeeOther(_list_url(developer))


@developer_page(Right.READ)
def rights(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Say what the member's own role may do, and what each other role may."""
    rows = [(role, NAMES[role], ALLOWED[role]) for role in Role]
    return render(request, "web/portal/members/rights.html", {"rows": rows, "own": developer.role})


def _invite(request: HttpRequest, developer: Developer, email: str, wanted: str) -> None:
    actor = developer_actor(request, developer)
    made = invite(actor=actor, organization=developer.organization, email=email, role=Role(wanted))
    messages.success(request, _("An invitation is on its way to %(email)s.") % {"email": made.email})


def _row(member: Developer, viewer: Developer) -> MemberRow:
    may_change = may(viewer.role, Right.ADMINISTER) and covers(viewer.role, member.role)
    return MemberRow(member, member.pk == viewer.pk, roles_of(viewer) if may_change else [])


def _find(developer: Developer, member_id: str) -> Developer:
    member = members_of(developer.organization_id).filter(pk=member_id).first()
    if member is None:
        raise NotFound("No such member.")
    return member


def _has_seen(member: Developer) -> bool:
    found = secrets_made_by(member), webhooks_seen_by(member), organization_keys_made_by(member)[:1]
    return any(len(some) for some in found)


def _name(member: Developer) -> str:
    return plain_text(member.user.get_full_name() or member.user.email)


def _list_url(developer: Developer) -> str:
    return portal_url(developer.organization_id, "members")


def _secrets_url(developer: Developer, member: Developer) -> str:
    return portal_url(developer.organization_id, "member-secrets", member.pk)
