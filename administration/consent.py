from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.actions import AGENTS, CONSENTS, USERS, count_many, counted, reasoned_action
from administration.base import ReadOnlyAdmin
from administration.links import link_to_rows, show_lines
from administration.lists import EMAIL, CreatedFilter
from audit.models import Entry
from consent.models import Consent
from consent.services import revoke_consent
from consent.terms import ASK, DATA_FLOW, DENY, Terms
from core.actor import Actor
from core.text import plain_text
from policies.rules import sentences
from tokens.models import TokenFamily

GUARDS = {
    ASK: gettext_lazy("Data: the user is asked before anything can leave after private data and the text of others."),
    DENY: gettext_lazy("Data: nothing can leave after private data and the text of others."),
}


def _impact(rows: QuerySet[Any]) -> list[str]:
    live = rows.filter(status=Consent.Status.APPROVED)
    return [
        *count_many(live, CONSENTS),
        counted(live.values("user").distinct().count(), USERS),
        counted(live.values("agent").distinct().count(), AGENTS),
    ]


@reasoned_action(
    gettext_lazy("Revoke consent"),
    many=gettext_lazy("Revoke selected consents"),
    is_harmful=True,
    impact=_impact,
    unchanged=gettext_lazy("not granted, or ended already"),
    applies=lambda consent: consent.status == Consent.Status.APPROVED,
)
def revoke(actor: Actor, consent: Consent, reason: str) -> bool:
    if consent.status != Consent.Status.APPROVED:
        return False
    revoke_consent(actor=actor, consent=consent, reason=reason)
    return True


def _bounds(consent: Consent, terms: Terms, scope: str) -> Iterator[str]:
    if terms.modes.get(scope) == ASK:
        yield _("the user is asked every time")
    yield from (plain_text(one) for one in sentences(terms.limits.get(scope, ())))
    if targets := [plain_text(one) for target in consent.targets.get(scope, ()) for one in target["identifiers"]]:
        yield _("only for %(targets)s") % {"targets": ", ".join(targets)}
    if terms.history.get(scope):
        yield _("a removed limit still counts")


@admin.register(Consent)
class ConsentAdmin(ReadOnlyAdmin):
    owners = ["user", "organization__developers__user"]
    list_display = ["id", "agent", "user", "status", "decided_at", "expires_at"]
    list_select_related = ["agent", "user"]
    list_filter = ["status", CreatedFilter]
    searches = {"cns": "id", "usr": "user", EMAIL: "user__email", "agt": "agent", "agc": "agent__client_id"}
    searches |= {"org": "organization"}
    actions = [revoke]
    readonly_fields = ["families", "shown", "bounds", "entries"]
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
                    "bounds",
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

    @admin.display(description=gettext_lazy("Terms"))
    def bounds(self, consent: Consent) -> SafeString | str:
        """Return how the user bounds what they granted: a line for each scope, and one for the guard."""
        terms = Terms.read(consent.terms)
        titles = {one.get("id"): plain_text(one.get("title")) for one in consent.shown_scopes}
        bounds = {
            scope: [*_bounds(consent, terms, scope)]
            for scope in {**dict.fromkeys(consent.granted_scopes), **terms.history}
        }
        lines = [
            format_html("<bdi>{}</bdi>: <bdi>{}</bdi>", titles.get(one) or one, get_text_list(found, _("and")))
            for one, found in bounds.items()
            if found
        ]
        guard = GUARDS.get(terms.guards.get(DATA_FLOW, ""))
        return show_lines([*lines, *([guard] if guard else [])])

    @admin.display(description=gettext_lazy("Log"))
    def entries(self, consent: Consent) -> SafeString:
        return link_to_rows(Entry, _("Log entries"), q=consent.id)

    @admin.display(description=gettext_lazy("Tokens"))
    def families(self, consent: Consent) -> SafeString:
        return link_to_rows(TokenFamily, _("Token families"), consent__id__exact=consent.id)
