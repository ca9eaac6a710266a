"""The areas of the admin site: which models belong together, and what they are called.

A model that the site registers belongs to exactly one area (tests/administration/test_overview.py).
"""

from typing import Any, NamedTuple

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class Noun(NamedTuple):
    plural: Any
    singular: Any


# By the name of each area: the names of its models, by their labels.
AREAS: tuple[tuple[Any, dict[str, Noun]], ...] = (
    (
        _("People"),
        {
            "accounts.user": Noun(_("People"), _("Person")),
            "accounts.sessiontoken": Noun(_("API sessions"), _("API session")),
            "account.emailaddress": Noun(_("Email addresses"), _("Email address")),
        },
    ),
    (
        _("Developers and agents"),
        {
            "developers.organization": Noun(_("Organizations"), _("Organization")),
            "agents.agent": Noun(_("Agents"), _("Agent")),
            "policies.policy": Noun(_("Policies"), _("Policy")),
            "resources.resourceserver": Noun(_("Resource servers"), _("Resource server")),
            "developers.developer": Noun(_("Developers"), _("Developer")),
            "resources.customscope": Noun(_("Own scopes"), _("Own scope")),
        },
    ),
    (
        _("Consent"),
        {
            "consent.consent": Noun(_("Consents"), _("Consent")),
            "approvals.approval": Noun(_("Approvals"), _("Approval")),
            "tokens.tokenfamily": Noun(_("Token families"), _("Token family")),
            "tokens.delegation": Noun(_("Delegations"), _("Delegation")),
        },
    ),
    (_("Log"), {"audit.entry": Noun(_("Log entries"), _("Log entry"))}),
    (
        _("Operations"),
        {
            "tokens.signingkey": Noun(_("Signing keys"), _("Signing key")),
            "core.taskrun": Noun(_("Background tasks"), _("Background task")),
            "auth.group": Noun(_("Staff roles"), _("Staff role")),
        },
    ),
)
NOUNS = {label: noun for _name, nouns in AREAS for label, noun in nouns.items()}


def noun_of(model: Any) -> Noun:
    """Return what the rows of a model are called. Raises `KeyError` for a model without a place in the site."""
    return NOUNS[model._meta.label_lower]


def may_read(request: HttpRequest, model: Any) -> bool:
    """Return whether the administrator may read the rows of this model in the site."""
    page = admin.site._registry.get(model)
    return page is not None and page.has_view_permission(request)


def areas_for(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the areas with the lists that the administrator may read, for the navigation."""
    readable = {model._meta.label_lower for model in admin.site._registry if may_read(request, model)}
    found = [(name, [_link(request, one, nouns[one]) for one in nouns if one in readable]) for name, nouns in AREAS]
    return [
        {"name": name, "links": links, "is_current": any(link["is_current"] for link in links)}
        for name, links in found
        if links
    ]


def _link(request: HttpRequest, label: str, noun: Noun) -> dict[str, Any]:
    url = reverse(f"admin:{label.replace('.', '_')}_changelist")
    return {"url": url, "name": noun.plural, "is_current": request.path.startswith(url)}
