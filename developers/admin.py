from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from audit.proof.stops import organization_level
from core.actor import Actor
from core.admin_actions import reasoned_action
from core.admin_lists import EMAIL, TEXT, CreatedFilter, whether
from core.admin_words import AGENTS, ORGANIZATIONS
from core.administration import ReadOnlyAdmin, counted
from developers.domains import decline_review
from developers.hits import hits_of_organization
from developers.models import ApiKey, Developer, Organization
from developers.services import reactivate_organization, suspend_organization, verify_organization
from developers.stop_lines import lines_of_proof, lines_of_rows

COLLEAGUES = "organization__developers__user"


def _impact(rows: QuerySet[Any]) -> list[str]:
    return [
        counted(rows.count(), ORGANIZATIONS),
        counted(rows.exclude(agents=None).values("agents").count(), AGENTS),
        *lines_of_rows([row.pk for row in rows], hits_of_organization),
    ]


@reasoned_action(
    gettext_lazy("Suspend organization"),
    many=gettext_lazy("Suspend selected organizations"),
    impact=_impact,
    unchanged=gettext_lazy("already suspended"),
    applies=lambda organization: organization.may_act,
)
def suspend(actor: Actor, organization: Organization, reason: str) -> bool:
    return suspend_organization(actor=actor, organization=organization, reason=reason)


@reasoned_action(
    gettext_lazy("Reactivate organization"),
    many=gettext_lazy("Reactivate selected organizations"),
    impact=_impact,
    unchanged=gettext_lazy("not suspended"),
    applies=lambda organization: not organization.may_act,
)
def reactivate(actor: Actor, organization: Organization, reason: str) -> bool:
    return reactivate_organization(actor=actor, organization=organization, reason=reason)


@reasoned_action(
    gettext_lazy("Mark as verified"),
    many=gettext_lazy("Mark selected organizations as verified"),
    impact=_impact,
    unchanged=gettext_lazy("already verified"),
    applies=lambda organization: not organization.is_verified,
)
def verify(actor: Actor, organization: Organization, reason: str) -> bool:
    return verify_organization(actor=actor, organization=organization, is_verified=True, reason=reason)


@reasoned_action(
    gettext_lazy("Mark as not verified"),
    many=gettext_lazy("Mark selected organizations as not verified"),
    impact=_impact,
    unchanged=gettext_lazy("not verified"),
    applies=lambda organization: organization.is_verified,
)
def unverify(actor: Actor, organization: Organization, reason: str) -> bool:
    return verify_organization(actor=actor, organization=organization, is_verified=False, reason=reason)


def _asks(organization: Organization) -> bool:
    """Return whether the organization has asked to be verified, and no administrator has decided."""
    claim = getattr(organization, "domain_claim", None)
    return claim is not None and claim.review_asked_at is not None


@reasoned_action(
    gettext_lazy("Decline to verify"),
    many=gettext_lazy("Decline to verify selected organizations"),
    impact=_impact,
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
        CreatedFilter,
    ]
    parts = ["name", "domain"]
    searches = {"org": "id", "dev": "developers", "usr": "developers__user", EMAIL: "developers__user__email"}
    searches |= {TEXT: "name__iexact"}
    fields = ["domain", "is_verified", "suspended_at", "suspension_reason", "id", "created_at"]
    actions = [suspend, reactivate, verify, unverify, decline]
    shows_proof = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        """Return the organizations with their claims, of which the actions ask."""
        return super().get_queryset(request).select_related("domain_claim")

    def proof_of(self, row: Organization) -> list[str]:
        return lines_of_proof(organization_level(row.id))


@admin.register(Developer)
class DeveloperAdmin(ReadOnlyAdmin):
    owners = ["user", COLLEAGUES]
    list_display = ["user", "id", "organization", "created_at"]
    list_select_related = ["user", "organization"]
    list_filter = [CreatedFilter]
    searches = {"dev": "id", "usr": "user", EMAIL: "user__email", "org": "organization"}
    fields = ["id", "user", "organization", "created_at"]


class SecretAdmin(ReadOnlyAdmin):
    """Secrets. Only their last four characters are shown."""

    list_filter = [("expires_at", whether(gettext_lazy("Ends"), gettext_lazy("Without an end"))), CreatedFilter]


@admin.register(ApiKey)
class ApiKeyAdmin(SecretAdmin):
    owners = ["developer__user", COLLEAGUES]
    list_display = ["__str__", "name", "developer", "organization", "created_at", "last_used_at", "expires_at"]
    list_select_related = ["developer__user", "organization"]
    searches = {"key": "id", "dev": "developer", "usr": "developer__user", EMAIL: "developer__user__email"}
    searches |= {"org": "organization"}
    fields = ["id", "developer", "organization", "name", "last_four", "created_at", "last_used_at", "expires_at"]
