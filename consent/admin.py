from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.models import Entry
from consent.models import AuthorizationCode, Consent
from consent.services import revoke_consent
from core.actor import Actor
from core.admin_actions import reasoned_action
from core.admin_lists import EMAIL, CreatedFilter, whether
from core.admin_words import AGENTS, CONSENTS, USERS
from core.administration import ReadOnlyAdmin, counted, link_to_rows, show_lines
from core.text import plain_text

# django-oauth-toolkit's models name the agent an application.
OWNERS = ["user", "application__organization__developers__user"]
SEARCHES = {"usr": "user", EMAIL: "user__email", "agt": "application", "agc": "application__client_id"}


def _impact(rows: QuerySet[Any]) -> list[str]:
    live = rows.filter(status=Consent.Status.APPROVED)
    return [
        counted(live.count(), CONSENTS),
        counted(live.values("user").distinct().count(), USERS),
        counted(live.values("agent").distinct().count(), AGENTS),
    ]


@reasoned_action(
    gettext_lazy("Revoke consent"),
    many=gettext_lazy("Revoke selected consents"),
    impact=_impact,
    unchanged=gettext_lazy("not granted, or ended already"),
    applies=lambda consent: consent.status == Consent.Status.APPROVED,
)
def revoke(actor: Actor, consent: Consent, reason: str) -> bool:
    if consent.status != Consent.Status.APPROVED:
        return False
    revoke_consent(actor=actor, consent=consent, reason=reason)
    return True


@admin.register(Consent)
class ConsentAdmin(ReadOnlyAdmin):
    owners = ["user", "organization__developers__user"]
    list_display = ["id", "agent", "user", "status", "decided_at", "expires_at"]
    list_select_related = ["agent", "user"]
    list_filter = ["status", CreatedFilter]
    searches = {"cns": "id", "usr": "user", EMAIL: "user__email", "agt": "agent", "agc": "agent__client_id"}
    searches |= {"org": "organization"}
    actions = [revoke]
    readonly_fields = ["families", "shown", "entries"]
    fieldsets = [
        (None, {"fields": ["id", "status", "agent", "organization", "user"]}),
        (
            gettext_lazy("Request"),
            {
                "fields": [
                    "shown",
                    "optional_scopes",
                    "redirect_uri",
                    "resource",
                    "reason",
                    "is_authenticated",
                    "door",
                    "created_at",
                ]
            },
        ),
        (
            gettext_lazy("Decision"),
            {
                "fields": [
                    "granted_scopes",
                    "terms",
                    "decided_at",
                    "revoked_at",
                    "replaced_at",
                    "replaced_by",
                    "expires_at",
                    "families",
                    "entries",
                ]
            },
        ),
    ]

    @admin.display(description=gettext_lazy("Scopes as shown"))
    def shown(self, consent: Consent) -> SafeString | str:
        """Return the titles that the user saw, each with the scope."""
        scopes = [(plain_text(scope.get("title")), scope.get("id")) for scope in consent.shown_scopes]
        return show_lines([format_html("<bdi>{}</bdi> <code>{}</code>", *scope) for scope in scopes])

    @admin.display(description=gettext_lazy("Log"))
    def entries(self, consent: Consent) -> SafeString:
        return link_to_rows(Entry, _("Log entries"), q=consent.id)

    @admin.display(description=gettext_lazy("Tokens"))
    def families(self, consent: Consent) -> SafeString:
        model: Any = Consent._meta.get_field("families").related_model
        return link_to_rows(model, _("Token families"), consent__id__exact=consent.id)


class TokenAdmin(ReadOnlyAdmin):
    owners = OWNERS
    list_select_related = ["application", "user"]


class AuthorizationCodeAdmin(TokenAdmin):
    """Registered by django-oauth-toolkit, through `GRANT_ADMIN_CLASS`."""

    list_display = ["id", "application", "user", "created", "expires", "consumed_at"]
    list_filter = [("consumed_at", whether(gettext_lazy("Used"), gettext_lazy("Unused"))), CreatedFilter]
    searches = {"cod": "id", "cns": "consent", **SEARCHES}
    fields = [
        "id",
        "application",
        "user",
        "consent",
        "family",
        "redirect_uri",
        "scope",
        "resource",
        "created",
        "expires",
        "consumed_at",
    ]
    readonly_fields = ["family"]

    @admin.display(description=gettext_lazy("Token family"))
    def family(self, code: AuthorizationCode) -> str:
        return str(getattr(code, "family", None) or "")
