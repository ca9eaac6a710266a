"""Tokens in the admin site, without their values.

django-oauth-toolkit registers the first two classes, through its `*_ADMIN_CLASS` settings.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.actions import AGENTS, FAMILIES, USERS, counted, reasoned_action
from administration.base import ReadOnlyAdmin
from administration.consent import OWNERS, SEARCHES, TokenAdmin
from administration.links import pretty
from administration.lists import TEXT, CreatedFilter, whether
from core.actor import Actor
from tokens.keys import rotate_keys
from tokens.models import SigningKey, TokenFamily
from tokens.services import revoke_family


class AccessTokenAdmin(TokenAdmin):
    list_display = ["id", "application", "user", "scope", "created", "expires"]
    list_filter = [CreatedFilter]
    searches = {"tok": "id", "fam": "family", **SEARCHES}
    fields = ["id", "application", "user", "family", "scope", "resource", "created", "expires"]


class RefreshTokenAdmin(TokenAdmin):
    list_display = ["id", "application", "user", "created", "expires", "consumed_at"]
    list_filter = [("consumed_at", whether(gettext_lazy("Used"), gettext_lazy("Unused"))), CreatedFilter]
    searches = {"rft": "id", "fam": "family", **SEARCHES}
    fields = ["id", "application", "user", "family", "created", "expires", "consumed_at"]


def _family_impact(rows: QuerySet[Any]) -> list[str]:
    live = rows.filter(revoked_at=None)
    return [
        counted(live.count(), FAMILIES),
        counted(live.exclude(user=None).values("user").distinct().count(), USERS),
        counted(live.values("application").distinct().count(), AGENTS),
    ]


@reasoned_action(
    gettext_lazy("Revoke token family"),
    many=gettext_lazy("Revoke selected token families"),
    impact=_family_impact,
    unchanged=gettext_lazy("already revoked"),
    applies=lambda family: family.revoked_at is None,
)
def revoke(actor: Actor, family: TokenFamily, reason: str) -> bool:
    return revoke_family(actor=actor, family=family, reason=reason)


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    owners = OWNERS
    list_display = ["id", "application", "user", "created_at", "revoked_at", "expires_at"]
    list_select_related = ["application", "user"]
    list_filter = [("revoked_at", whether(gettext_lazy("Revoked"), gettext_lazy("Not revoked"))), CreatedFilter]
    searches = {"fam": "id", "cns": "consent", **SEARCHES}
    fields = ["id", "application", "user", "consent", "scope", "resource", "created_at", "revoked_at", "expires_at"]
    actions = [revoke]


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
