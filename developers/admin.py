from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import User
from audit.proof.stops import organization_level
from core.actor import Actor
from core.admin_lists import EMAIL, TEXT, CreatedFilter
from core.administration import ReadOnlyAdmin, counted, link_to_rows, reasoned_action, show_lines
from developers.hits import hits_of_organization
from developers.models import ApiKey, Developer, Organization
from developers.services import reactivate_organization, suspend_organization, verify_organization
from developers.stop_lines import lines_of_proof, lines_of_rows

COLLEAGUES = "organization__developers__user"


def _impact(rows: QuerySet[Any]) -> list[str]:
    users = User.objects.filter(consents__organization__in=rows.values("pk"), consents__status="approved")
    return [
        counted(rows.count(), "organization", "organizations"),
        counted(rows.exclude(agents=None).values("agents").count(), "agent", "agents"),
        counted(users.distinct().count(), "connected user", "connected users"),
        *lines_of_rows(list(rows.values_list("pk", flat=True)), hits_of_organization),
    ]


@reasoned_action("Suspend selected organizations", impact=_impact)
def suspend(actor: Actor, organization: Organization, reason: str) -> bool:
    return suspend_organization(actor=actor, organization=organization, reason=reason)


@reasoned_action("Reactivate selected organizations", impact=_impact)
def reactivate(actor: Actor, organization: Organization, reason: str) -> bool:
    return reactivate_organization(actor=actor, organization=organization, reason=reason)


@reasoned_action("Mark selected organizations as verified", impact=_impact)
def verify(actor: Actor, organization: Organization, reason: str) -> bool:
    return _set_verified(actor, organization, reason, is_verified=True)


@reasoned_action("Mark selected organizations as not verified", impact=_impact)
def unverify(actor: Actor, organization: Organization, reason: str) -> bool:
    return _set_verified(actor, organization, reason, is_verified=False)


def _set_verified(actor: Actor, organization: Organization, reason: str, *, is_verified: bool) -> bool:
    if organization.is_verified is is_verified:
        return False
    verify_organization(actor=actor, organization=organization, is_verified=is_verified, reason=reason)
    return True


@admin.register(Organization)
class OrganizationAdmin(ReadOnlyAdmin):
    owners = ["developers__user"]
    list_display = ["name", "id", "is_verified", "suspended_at", "created_at"]
    list_filter = ["is_verified", ("suspended_at", admin.EmptyFieldListFilter), CreatedFilter]
    searches = {"org": "id", "dev": "developers", "usr": "developers__user", EMAIL: "developers__user__email"}
    searches |= {TEXT: "name__iexact"}
    fields = ["id", "name", "is_verified", "suspended_at", "suspension_reason", "proof", "created_at"]
    fields += ["related_objects"]
    readonly_fields = ["proof", "related_objects"]
    actions = [suspend, reactivate, verify, unverify]

    @admin.display(description="proof of the suspension")
    def proof(self, organization: Organization) -> SafeString:
        """Show what the log says about the suspension that is in force, if any."""
        return show_lines([] if organization.may_act else lines_of_proof(organization_level(organization.id)))

    @admin.display(description="related objects")
    def related_objects(self, organization: Organization) -> SafeString:
        relations = ("developers", "agents", "policies", "resource_servers", "consents")
        models = [(name, Organization._meta.get_field(name).related_model) for name in relations]
        links = [
            (link_to_rows(model, name.replace("_", " "), organization__id__exact=organization.id),)  # type: ignore[arg-type]
            for name, model in models
        ]
        return format_html_join(" · ", "{}", links)


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

    list_filter = [("expires_at", admin.EmptyFieldListFilter), CreatedFilter]


@admin.register(ApiKey)
class ApiKeyAdmin(SecretAdmin):
    owners = ["developer__user", COLLEAGUES]
    list_display = ["__str__", "developer", "organization", "created_at", "expires_at"]
    list_select_related = ["developer__user", "organization"]
    searches = {"key": "id", "dev": "developer", "usr": "developer__user", EMAIL: "developer__user__email"}
    searches |= {"org": "organization"}
    fields = ["id", "developer", "organization", "last_four", "created_at", "expires_at"]
