from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.actions import AGENTS, ORGANIZATIONS, count_many, counted, reasoned_action
from administration.base import ReadOnlyAdmin
from administration.lists import EMAIL, TEXT, CreatedFilter, whether
from administration.stop_lines import LIFTED, STOPPED, lines_of_proof, lines_of_rows
from agents.selectors import agent_ids_of
from audit.proof.stops import organization_level
from core.actor import Actor
from core.text import plain_text
from developers.domains import decline_review
from developers.impact import impact_on_organization
from developers.models import Developer, DomainClaim, Organization
from developers.services import reactivate_organization, suspend_organization, verify_organization

# As many as the page lists.
MAX_NAMED = 20
COLLEAGUES = "organization__developers__user"


METHODS: dict[str, Any] = {
    DomainClaim.Method.DNS: gettext_lazy("DNS record"),
    DomainClaim.Method.FILE: gettext_lazy("File on the website"),
}


def _counted(rows: QuerySet[Any]) -> list[str]:
    return count_many(rows, ORGANIZATIONS)


def _with_agents(rows: QuerySet[Any]) -> list[str]:
    """Also count the agents, because their consent screens say whether their organization is verified."""
    agents = rows.filter(agents__isnull=False, agents__deleted_at__isnull=True).values("agents")
    return [*_counted(rows), counted(agents.count(), AGENTS)]


def _with_domains(rows: QuerySet[Any]) -> list[str]:
    """Also name the domain that each of a few organizations is verified with."""
    words = _("%(name)s is verified with %(domain)s.")
    said = [words % {"name": plain_text(row.name), "domain": row.domain} for row in rows[:MAX_NAMED] if row.domain]
    return [*_with_agents(rows), *said]


def _stopped(rows: QuerySet[Any], words: Any = STOPPED) -> list[str]:
    return [*_with_agents(rows), *lines_of_rows([row.pk for row in rows], impact_on_organization, words)]


@reasoned_action(
    gettext_lazy("Suspend organization"),
    many=gettext_lazy("Suspend selected organizations"),
    question=gettext_lazy("Suspend {}?"),
    is_harmful=True,
    impact=_stopped,
    unchanged=gettext_lazy("already suspended"),
    applies=lambda organization: organization.may_act,
)
def suspend(actor: Actor, organization: Organization, reason: str) -> bool:
    return suspend_organization(actor=actor, organization=organization, reason=reason)


@reasoned_action(
    gettext_lazy("Reactivate organization"),
    many=gettext_lazy("Reactivate selected organizations"),
    question=gettext_lazy("Reactivate {}?"),
    impact=partial(_stopped, words=LIFTED),
    unchanged=gettext_lazy("not suspended"),
    applies=lambda organization: not organization.may_act,
)
def reactivate(actor: Actor, organization: Organization, reason: str) -> bool:
    return reactivate_organization(actor=actor, organization=organization, reason=reason)


@reasoned_action(
    gettext_lazy("Mark as verified"),
    many=gettext_lazy("Mark selected organizations as verified"),
    question=gettext_lazy("Mark {} as verified?"),
    impact=_with_domains,
    decided_on=lambda organization: f"{organization.name} {organization.domain or ''}",
    unchanged=gettext_lazy("already verified"),
    applies=lambda organization: not organization.is_verified,
)
def verify(actor: Actor, organization: Organization, reason: str) -> bool:
    return verify_organization(actor=actor, organization=organization, is_verified=True, reason=reason)


@reasoned_action(
    gettext_lazy("Mark as not verified"),
    many=gettext_lazy("Mark selected organizations as not verified"),
    question=gettext_lazy("Mark {} as not verified?"),
    is_harmful=True,
    impact=_with_agents,
    unchanged=gettext_lazy("not verified"),
    applies=lambda organization: organization.verified_with is not None,
)
def unverify(actor: Actor, organization: Organization, reason: str) -> bool:
    return verify_organization(actor=actor, organization=organization, is_verified=False, reason=reason)


def _claim_of(organization: Organization) -> DomainClaim | None:
    return getattr(organization, "domain_claim", None)


def _asks(organization: Organization) -> bool:
    """Return whether the organization has asked to be verified, and no administrator has decided."""
    claim = _claim_of(organization)
    return claim is not None and claim.review_asked_at is not None


@reasoned_action(
    gettext_lazy("Decline to verify"),
    many=gettext_lazy("Decline to verify selected organizations"),
    question=gettext_lazy("Decline to verify {}?"),
    impact=_counted,
    unchanged=gettext_lazy("did not ask to be verified"),
    applies=_asks,
)
def decline(actor: Actor, organization: Organization, reason: str) -> bool:
    return decline_review(actor=actor, organization=organization, reason=reason)


@admin.register(Organization)
class OrganizationAdmin(ReadOnlyAdmin):
    owners = ["developers__user"]
    list_display = ["name", "domain", "is_verified", "suspended_at", "created_at"]
    list_filter = [
        "is_verified",
        (
            "domain_claim__review_asked_at",
            whether(gettext_lazy("Asks to be verified"), gettext_lazy("Does not ask to be verified")),
        ),
        ("suspended_at", whether(gettext_lazy("Suspended"), gettext_lazy("Not suspended"))),
        ("stopped_at", whether(gettext_lazy("Stopped by its members"), gettext_lazy("Not stopped by its members"))),
        ("deletes_at", whether(gettext_lazy("Deleted, or being deleted"), gettext_lazy("Not being deleted"))),
        CreatedFilter,
    ]
    parts = ["name", "domain"]
    searches = {"org": "id", "dev": "developers", "usr": "developers__user", EMAIL: "developers__user__email"}
    searches |= {"key": "api_keys", TEXT: "name__iexact"}
    fieldsets = [
        (None, {"fields": ["is_verified", "verified_with", "suspended_at", "suspension_reason", "id", "created_at"]}),
        (
            gettext_lazy("Stop by its members"),
            {"fields": ["stopped_at", "stop_reason", "deletes_at", "deleted_at"]},
        ),
        (
            gettext_lazy("Domain"),
            {"fields": ["domain", "unproved", "proved_at", "method", "checked_at", "failing_since", "asked_at"]},
        ),
    ]
    readonly_fields = ["unproved", "proved_at", "method", "checked_at", "failing_since", "asked_at"]
    actions = [suspend, reactivate, verify, unverify, decline]
    shows_proof = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        """Return the organizations with their domain claims, which the actions check."""
        return super().get_queryset(request).select_related("domain_claim")

    def find_exactly(self, rows: QuerySet[Organization], text: str) -> QuerySet[Organization] | None:
        """Return each organization once: a user can have joined it several times."""
        found: QuerySet[Organization] | None = super().find_exactly(rows, text)
        return None if found is None else found.distinct()

    @admin.display(description=gettext_lazy("Not proved yet"))
    def unproved(self, row: Organization) -> str:
        claim = _claim_of(row)
        return claim.name if claim and claim.proved_at is None else ""

    @admin.display(description=gettext_lazy("Proved since"))
    def proved_at(self, row: Organization) -> datetime | None:
        return getattr(_claim_of(row), "proved_at", None)

    @admin.display(description=gettext_lazy("Found at the last check"))
    def method(self, row: Organization) -> SafeString | str:
        """Return how the last check found the proof. Empty before the first check."""
        claim = _claim_of(row)
        if claim is None or claim.checked_at is None:
            return ""
        return format_html("{}", METHODS.get(claim.method) or _("Nothing"))

    @admin.display(description=gettext_lazy("Last check"))
    def checked_at(self, row: Organization) -> datetime | None:
        return getattr(_claim_of(row), "checked_at", None)

    @admin.display(description=gettext_lazy("Proof missing since"))
    def failing_since(self, row: Organization) -> datetime | None:
        return getattr(_claim_of(row), "failing_since", None)

    @admin.display(description=gettext_lazy("Asks to be verified since"))
    def asked_at(self, row: Organization) -> datetime | None:
        return getattr(_claim_of(row), "review_asked_at", None)

    def is_stopped(self, row: Organization) -> bool:
        return not row.may_act or row.is_stopped

    def proof_of(self, row: Organization) -> list[str]:
        return lines_of_proof(organization_level(row.id, agent_ids_of(row.id)))


@admin.register(Developer)
class DeveloperAdmin(ReadOnlyAdmin):
    owners = ["user", COLLEAGUES]
    list_display = ["id", "user", "organization", "role", "created_at", "ended_at"]
    list_select_related = ["user", "organization"]
    list_filter = ["role", ("ended_at", whether(gettext_lazy("Ended"), gettext_lazy("Not ended"))), CreatedFilter]
    searches = {"dev": "id", "usr": "user", EMAIL: "user__email", "org": "organization"}
    fields = ["id", "user", "organization", "role", "created_at", "last_active_at", "ended_at"]
