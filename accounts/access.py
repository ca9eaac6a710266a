"""Who may use the admin site: administrators, their roles, and what each role permits. All changes are logged."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.errors import NotSuperuser, OwnAccess
from accounts.models import User
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import record
from core.actor import Actor
from core.errors import Invalid, NotFound
from core.text import plain_text


@transaction.atomic
def change_access(
    *, actor: Actor, user: User, is_staff: bool, is_superuser: bool, roles: Collection[Group], reason: str
) -> User:
    """Set whether a user is an administrator, and with which roles. Return the updated user.

    Raises `Invalid` for rights without `is_staff`, `OwnAccess` for the administrator's own account, `NotFound` for an
    erased one, and `NotSuperuser`. Both rows are locked, so two superusers cannot take each other's rights at once:
    one superuser always remains.
    """
    if (is_superuser or roles) and not is_staff:
        raise Invalid.field("is_staff", gettext_noop("Roles and superuser rights are for administrators only."))
    if user.pk == actor.id:
        raise OwnAccess
    rows = {
        row.id: row
        for row in User.objects.select_for_update(no_key=True).filter(pk__in=(user.pk, actor.id)).order_by("pk")
    }
    held, editor = rows.get(user.pk), rows.get(actor.id or "")
    if editor is None or not (editor.is_active and editor.is_superuser):
        raise NotSuperuser
    if held is None or held.erased_at is not None:
        raise NotFound("No such user.")
    before = _access_of(held)
    held.is_staff, held.is_superuser = is_staff, is_superuser
    held.save(update_fields=["is_staff", "is_superuser"])
    held.groups.set(roles)
    after = _access_of(held)
    if before != after:
        metadata = {"before": before, "after": after, "reason": reason}
        record(Draft(Event.USER_ACCESS_CHANGED, actor, user_id=held.id, metadata=metadata))
    return held


@transaction.atomic
def save_role(*, actor: Actor, role: Group | None, name: str, permissions: Iterable[Permission], reason: str) -> Group:
    """Create or change a role, and return it. Raises `Invalid` for a name that another role has."""
    held = Group.objects.select_for_update().get(pk=role.pk) if role else Group()
    name = plain_text(name)
    if not name:
        raise Invalid.field("name", gettext_noop("This field is required."))
    if Group.objects.filter(name=name).exclude(pk=held.pk).exists():
        raise Invalid.field("name", gettext_noop("Another role has this name."))
    event, before = (Event.STAFF_ROLE_UPDATED, _permits(held)) if role else (Event.STAFF_ROLE_CREATED, [])
    held.name = name
    held.save()
    held.permissions.set(permissions)
    after = _permits(held)
    changes = {"added": sorted({*after} - {*before}), "removed": sorted({*before} - {*after})}
    record(Draft(event, actor, metadata={"role": held.name, **changes, "reason": reason}))
    return held


@transaction.atomic
def delete_role(*, actor: Actor, role: Group, reason: str) -> bool:
    """Delete a role and take it from its administrators. Return False if it was already deleted."""
    held = Group.objects.select_for_update().filter(pk=role.pk).first()
    if held is None:
        return False
    metadata = {"role": held.name, "removed": _permits(held), "reason": reason}
    record(Draft(Event.STAFF_ROLE_DELETED, actor, metadata=metadata))
    held.delete()
    return True


@transaction.atomic
def record_refusal(*, actor: Actor, page: str, metadata: Mapping[str, str]) -> None:
    """Record that an administrator tried to act without the permission. `page` is the name of the page's URL."""
    draft = Draft(Event.ADMINISTRATION_REFUSED, actor, Outcome.DENIED, metadata={"page": page, **metadata})
    record(draft)


def _access_of(user: User) -> dict[str, Any]:
    roles = sorted(user.groups.values_list("name", flat=True))
    return {"administrator": user.is_staff, "superuser": user.is_superuser, "roles": roles}


def _permits(role: Group) -> list[str]:
    names = role.permissions.values_list("content_type__app_label", "codename")
    return sorted(f"{app}.{codename}" for app, codename in names)
