from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.authenticators import RECOVERY_CODES
from accounts.models import KnownAddress, SessionToken, User
from accounts.second_factors import remove_second_factors
from accounts.services import deactivate_user, reactivate_user
from core.actor import Actor
from core.admin_lists import EMAIL, CreatedFilter
from core.administration import ReadOnlyAdmin, counted, is_superuser, reasoned_action


def _impact(users: QuerySet[Any]) -> list[str]:
    ids = users.values("pk")
    agents = users.filter(consents__status="approved").values("consents__agent").distinct().count()
    sessions = SessionToken.objects.filter(user__in=ids).count()
    return [
        counted(users.count(), "user", "users"),
        counted(agents, "connected agent", "connected agents"),
        counted(sessions, "API session", "API sessions"),
    ]


@reasoned_action("Deactivate selected users", impact=_impact)
def deactivate(actor: Actor, user: User, reason: str) -> bool:
    """Skip the administrator's own account, so that they cannot lock themselves out by mistake."""
    if not user.is_active or user.id == actor.id:
        return False
    deactivate_user(actor=actor, user=user, reason=reason)
    return True


@reasoned_action("Reactivate selected users", impact=_impact)
def reactivate(actor: Actor, user: User, reason: str) -> bool:
    if user.is_active or user.erased_at is not None:
        return False
    reactivate_user(actor=actor, user=user, reason=reason)
    return True


def _factors(users: QuerySet[Any]) -> list[str]:
    rows = Authenticator.objects.filter(user__in=users.values("pk")).exclude(type=RECOVERY_CODES)
    return [counted(users.count(), "user", "users"), counted(rows.count(), "passkey or app", "passkeys and apps")]


@reasoned_action("Remove second factors of selected users", impact=_factors)
def remove_factors(actor: Actor, user: User, reason: str) -> bool:
    """Skip the administrator's own account: its owner removes them under Account > Security, after a new sign-in."""
    return user.id != actor.id and remove_second_factors(actor=actor, user=user, reason=reason)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """Users register and set passwords themselves. Here superusers grant access to the admin site."""

    list_display = ["email", "name", "is_active", "is_staff", "created_at", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser", CreatedFilter]
    searches = {"usr": "id", EMAIL: "email"}
    readonly_fields = ["id", "email", "is_active", "created_at", "last_login", "erased_at"]
    filter_horizontal = ["groups", "user_permissions"]
    fieldsets = [
        (None, {"fields": ["id", "email", "name", "is_active", "created_at", "last_login", "erased_at"]}),
        ("Admin access", {"fields": ["is_staff", "is_superuser", "groups", "user_permissions"]}),
    ]
    actions = [deactivate, reactivate, remove_factors]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers grant access, because other administrators could promote themselves."""
        return is_superuser(request) and (obj is None or obj.erased_at is None)

    def _belongs_to_superuser(self, row: User) -> bool:
        return row.is_superuser

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save only what the form changed, so that a password changed meanwhile is kept."""
        columns = {field.name for field in User._meta.concrete_fields}
        obj.save(update_fields=[name for name in form.changed_data if name in columns])

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Load each permission with its content type, which its label shows."""
        if db_field.name == "user_permissions":
            kwargs["queryset"] = Permission.objects.select_related("content_type")
        return super().formfield_for_manytomany(db_field, request, **kwargs)


@admin.register(SessionToken)
class SessionTokenAdmin(ReadOnlyAdmin):
    owners = ["user"]
    list_display = ["id", "user", "user_agent", "created_at", "expires_at"]
    list_select_related = ["user"]
    list_filter = [CreatedFilter]
    searches = {"ses": "id", "usr": "user", EMAIL: "user__email"}
    fields = ["id", "user", "user_agent", "created_at", "expires_at"]


@admin.register(KnownAddress)
class KnownAddressAdmin(ReadOnlyAdmin):
    owners = ["user"]
    list_display = ["user", "last_seen_at"]
    list_select_related = ["user"]
    searches = {"usr": "user", EMAIL: "user__email"}
    fields = ["user", "last_seen_at"]
