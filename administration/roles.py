"""Staff roles: which administrators may read and act on what."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from accounts.access import delete_role, save_role
from accounts.models import User
from administration.actions import MEMBERS, EditForm, counted, reasoned_action
from administration.areas import noun_of
from administration.base import ReadOnlyAdmin
from administration.links import is_superuser, link_to_rows, show_lines
from administration.lists import TEXT
from core.actor import Actor

ACTS = {"view": gettext_lazy("%(noun)s: read"), "change": gettext_lazy("%(noun)s: act")}


class PermissionsField(forms.ModelMultipleChoiceField):
    """The permissions that have a meaning in the admin site: to read the rows of a model, and to act on them."""

    def label_from_instance(self, obj: Any) -> str:
        return _name_of(obj)


def _name_of(permission: Permission) -> str:
    model: Any = permission.content_type.model_class()
    act = permission.codename.partition("_")[0]
    return str(ACTS[act] % {"noun": noun_of(model).plural})


def _offered() -> QuerySet[Permission]:
    """Return the permission to read the rows of each model, and to act on them if the model has actions or a form."""
    wanted = Q()
    for model, page in admin.site._registry.items():
        acts = ["view", "change"] if page.actions or getattr(page, "edit_form", None) else ["view"]
        names = [f"{act}_{model._meta.model_name}" for act in acts]
        wanted |= Q(content_type__app_label=model._meta.app_label, codename__in=names)
    rows = Permission.objects.filter(wanted).exclude(content_type__app_label="auth")
    rows = rows.exclude(content_type__model="approval")  # which those read who read consents
    return rows.select_related("content_type").order_by("content_type__app_label", "content_type__model", "-codename")


class RoleForm(EditForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=150)
    permissions = PermissionsField(
        label=gettext_lazy("Permissions"),
        queryset=Permission.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        field: Any = self.fields["permissions"]
        field.queryset = _offered()

    def read(self, row: Group | None) -> dict[str, Any]:
        return {"name": row.name, "permissions": list(row.permissions.all())} if row else {}

    def write(self, actor: Actor, reason: str) -> Group:
        given = self.cleaned_data
        return save_role(
            actor=actor, role=self.row, name=given["name"], permissions=given["permissions"], reason=reason
        )


def _role_impact(roles: QuerySet[Any]) -> list[str]:
    return [counted(User.objects.filter(groups__in=roles.values("pk")).distinct().count(), MEMBERS)]


@reasoned_action(
    gettext_lazy("Delete role"),
    many=gettext_lazy("Delete selected roles"),
    question=gettext_lazy("Delete the role {}?"),
    is_harmful=True,
    impact=_role_impact,
    unchanged=gettext_lazy("already deleted"),
)
def delete(actor: Actor, role: Group, reason: str) -> bool:
    return delete_role(actor=actor, role=role, reason=reason)


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    """Roles. Only superusers, because administrators who can edit their own role could promote themselves."""

    list_display = ["name"]
    searches = {TEXT: "name"}
    ordering = ["name"]
    fields = ["permits", "members"]
    readonly_fields = ["permits", "members"]
    actions = [delete]
    edit_form = RoleForm
    can_create = True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    @admin.display(description=gettext_lazy("Permissions"))
    def permits(self, role: Group) -> SafeString | str:
        return show_lines([_name_of(one) for one in _offered().filter(group=role)])

    @admin.display(description=gettext_lazy("Members"))
    def members(self, role: Group) -> SafeString:
        return link_to_rows(User, role.name, groups__id__exact=str(role.pk))
