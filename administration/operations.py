"""What the server does in the background, and its signing keys."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.actions import reasoned_action
from administration.base import ReadOnlyAdmin
from administration.links import pretty
from administration.lists import TEXT
from core.actor import Actor
from core.models import TaskRun
from tokens.keys import rotate_keys
from tokens.models import SigningKey


@admin.register(TaskRun)
class TaskRunAdmin(ReadOnlyAdmin):
    """The last run of each background task."""

    list_display = ["name", "started_at", "seconds", "result", "error"]
    searches = {TEXT: "name"}
    searched_text = gettext_lazy("task")
    ordering = ["name"]
    fields = ["name", "started_at", "seconds", "result", "error", "failed_at"]
    actions = None


def _key_impact(rows: QuerySet[Any]) -> list[str]:
    return [_("A new key is published now and signs from ten minutes on."), _("Existing tokens keep working.")]


@reasoned_action(
    gettext_lazy("Rotate signing keys"),
    many=gettext_lazy("Rotate signing keys"),
    impact=_key_impact,
    unchanged=gettext_lazy("already rotated"),
    applies=lambda key: key.retires_at is None,
)
def rotate(actor: Actor, key: SigningKey, reason: str) -> bool:
    """Rotate only once, even if several keys are selected, because all current keys retire together."""
    if not SigningKey.objects.filter(pk=key.pk, retires_at=None).exists():
        return False
    rotate_keys(actor=actor, reason=reason)
    return True


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    list_display = ["kid", "algorithm", "created_at", "activates_at", "retires_at"]
    searches = {TEXT: "kid"}
    searched_text = gettext_lazy("key ID")
    fields = ["kid", "algorithm", "public_key", "created_at", "activates_at", "retires_at"]
    readonly_fields = ["public_key"]
    actions = [rotate]

    @admin.display(description=gettext_lazy("Public key"))
    def public_key(self, key: SigningKey) -> SafeString | str:
        return pretty(key.public_jwk) if key.public_jwk else _("none (symmetric key)")
