from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.access import change_access
from accounts.authenticators import RECOVERY_CODES
from accounts.models import SessionToken, User
from accounts.second_factors import remove_second_factors
from accounts.services import deactivate_user, reactivate_user
from administration.actions import (
    CONNECTED_AGENTS,
    FACTORS,
    SESSIONS,
    USERS,
    EditForm,
    count_many,
    counted,
    reasoned_action,
)
from administration.base import ReadOnlyAdmin
from administration.links import is_superuser
from administration.lists import EMAIL, TEXT, CreatedFilter
from administration.rows import NOTHING, status_pill
from core.actor import Actor


def _impact(users: QuerySet[Any]) -> list[str]:
    ids = users.values("pk")
    agents = users.filter(consents__status="approved").values("consents__agent").distinct().count()
    sessions = SessionToken.objects.filter(user__in=ids).count()
    return [
        *count_many(users, USERS),
        counted(agents, CONNECTED_AGENTS),
        counted(sessions, SESSIONS),
    ]


@reasoned_action(
    gettext_lazy("Deactivate user"),
    many=gettext_lazy("Deactivate selected users"),
    question=gettext_lazy("Deactivate {}?"),
    is_harmful=True,
    impact=_impact,
    unchanged=gettext_lazy("already deactivated"),
    applies=lambda user: user.is_active,
)
def deactivate(actor: Actor, user: User, reason: str) -> bool:
    if not user.is_active:
        return False
    deactivate_user(actor=actor, user=user, reason=reason)
    return True


@reasoned_action(
    gettext_lazy("Reactivate user"),
    many=gettext_lazy("Reactivate selected users"),
    question=gettext_lazy("Reactivate {}?"),
    impact=_impact,
    unchanged=gettext_lazy("active already, or erased"),
    applies=lambda user: not user.is_active and user.erased_at is None,
)
def reactivate(actor: Actor, user: User, reason: str) -> bool:
    if user.is_active or user.erased_at is not None:
        return False
    reactivate_user(actor=actor, user=user, reason=reason)
    return True


def _factors(users: QuerySet[Any]) -> list[str]:
    rows = Authenticator.objects.filter(user__in=users.values("pk")).exclude(type=RECOVERY_CODES)
    return [*count_many(users, USERS), counted(rows.count(), FACTORS)]


@reasoned_action(
    gettext_lazy("Remove second factors"),
    many=gettext_lazy("Remove second factors of selected users"),
    question=gettext_lazy("Remove the second factors of {}?"),
    is_harmful=True,
    impact=_factors,
    unchanged=gettext_lazy("without second factors"),
    permission="superuser",
    applies=lambda user: user.erased_at is None,
)
def remove_factors(actor: Actor, user: User, reason: str) -> bool:
    return remove_second_factors(actor=actor, user=user, reason=reason)


class RolesField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        """Return the role's name, which a superuser chose, as content."""
        return format_html("<bdi>{}</bdi>", obj.name)


class AccessForm(EditForm):
    """What a user may do in the admin site."""

    is_staff = forms.BooleanField(
        label=gettext_lazy("Administrator"),
        required=False,
        help_text=gettext_lazy("May sign in to the administration, and do there what the roles permit."),
    )
    groups = RolesField(
        label=gettext_lazy("Roles"),
        queryset=Group.objects.order_by("name"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    is_superuser = forms.BooleanField(
        label=gettext_lazy("Superuser"),
        required=False,
        help_text=gettext_lazy("May do everything: change roles, stop all agents, and act on other superusers."),
    )

    def read(self, row: User) -> dict[str, Any]:
        return {"is_staff": row.is_staff, "groups": list(row.groups.all()), "is_superuser": row.is_superuser}

    def write(self, actor: Actor, reason: str) -> User:
        given = self.cleaned_data
        return change_access(
            actor=actor,
            user=self.row,
            is_staff=given["is_staff"],
            is_superuser=given["is_superuser"],
            roles=list(given["groups"]),
            reason=reason,
        )


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """Users register and set passwords themselves. Here superusers grant access to the admin site."""

    list_display = ["email", "name", "state", "rights", "last_login", "created_at"]
    list_filter = ["is_active", "is_staff", "is_superuser", CreatedFilter]
    parts = ["email", "name"]
    searches = {"usr": "id", EMAIL: "email", TEXT: "name__iexact"}
    fields = ["email", "standing", "created_at", "last_login", "erased_at", "id"]
    readonly_fields = ["standing"]
    actions = [deactivate, reactivate, remove_factors]
    edit_form = AccessForm

    @admin.display(description=gettext_lazy("Status"))
    def state(self, user: User) -> SafeString:
        return status_pill("active" if user.is_active else "erased" if user.erased_at else "deactivated")

    @admin.display(description=gettext_lazy("Administration"))
    def rights(self, user: User) -> SafeString:
        """Return what the user may do in the admin site."""
        found = [*([_("Administrator")] if user.is_staff else []), *([_("Superuser")] if user.is_superuser else [])]
        return format_html("{}", ", ".join(found)) if found else NOTHING

    @admin.display(description=gettext_lazy("Status"))
    def standing(self, user: User) -> SafeString:
        has_rights = user.is_staff or user.is_superuser
        rights = self.rights(user) if has_rights else _("no administration rights")
        return format_html("{} · {}", self.state(user), rights)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """Allow the filter by role, to which a role's page links, to those who read roles."""
        if lookup == "groups__id__exact":
            return is_superuser(request)
        return super().lookup_allowed(lookup, value, request)

    def has_edit_permission(self, request: HttpRequest) -> bool:
        """Only superusers grant access, because other administrators could promote themselves."""
        return is_superuser(request)

    def may_edit(self, request: HttpRequest, row: Any = None) -> bool:
        return super().may_edit(request, row) and (row is None or row.erased_at is None)

    def problem_with_acting_on(self, request: HttpRequest, row: User) -> str | None:
        """Also refuse the administrator's own account, so that they cannot lock themselves out by mistake."""
        if row.pk == request.user.pk:
            return _(
                "This is your own account, on which another administrator must act. You change your password and "
                "second factors under Security."
            )
        return super().problem_with_acting_on(request, row)

    def belongs(self, request: HttpRequest, row: User) -> tuple[bool, bool]:
        return row.is_superuser, False


@admin.register(SessionToken)
class SessionTokenAdmin(ReadOnlyAdmin):
    owners = ["user"]
    list_display = ["id", "user", "user_agent", "created_at", "expires_at"]
    list_select_related = ["user"]
    list_filter = [CreatedFilter]
    searches = {"ses": "id", "usr": "user", EMAIL: "user__email"}
    fields = ["id", "user", "user_agent", "created_at", "expires_at"]


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    """Read-only, because adding an address to an account would allow taking it over."""

    owners = ["user"]
    list_display = ["email", "user", "primary", "verified"]
    list_select_related = ["user"]
    list_filter = ["verified"]
    searches = {EMAIL: "email", "usr": "user"}
    fields = ["email", "user", "primary", "verified"]
    actions = None
