"""Token families in the admin site. The id of a token leads to its family."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from administration.actions import AGENTS, FAMILIES, USERS, count_many, counted, reasoned_action
from administration.base import ReadOnlyAdmin
from administration.lists import EMAIL, CreatedFilter, whether
from core.actor import Actor
from tokens.models import TokenFamily
from tokens.services import revoke_family


def _family_impact(rows: QuerySet[Any]) -> list[str]:
    live = rows.filter(revoked_at=None)
    return [
        *count_many(live, FAMILIES),
        counted(live.exclude(user=None).values("user").distinct().count(), USERS),
        counted(live.values("application").distinct().count(), AGENTS),
    ]


@reasoned_action(
    gettext_lazy("Revoke token family"),
    many=gettext_lazy("Revoke selected token families"),
    is_harmful=True,
    impact=_family_impact,
    unchanged=gettext_lazy("already revoked"),
    applies=lambda family: family.revoked_at is None,
)
def revoke(actor: Actor, family: TokenFamily, reason: str) -> bool:
    return revoke_family(actor=actor, family=family, reason=reason)


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    # django-oauth-toolkit's models name the agent an application.
    owners = ["user", "application__organization__developers__user"]
    list_display = ["id", "application", "user", "created_at", "revoked_at", "expires_at"]
    list_select_related = ["application", "user"]
    list_filter = [("revoked_at", whether(gettext_lazy("Revoked"), gettext_lazy("Not revoked"))), CreatedFilter]
    searches = {"fam": "id", "cns": "consent", "usr": "user", EMAIL: "user__email"}
    searches |= {"agt": "application", "agc": "application__client_id"}
    searches |= {"tok": "access_tokens", "rft": "refresh_tokens", "cod": "code_id"}
    fields = ["id", "application", "user", "consent", "scope", "resource", "created_at", "revoked_at", "expires_at"]
    actions = [revoke]
