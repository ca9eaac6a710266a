"""The areas of the admin site: which models belong together, and what they are called.

A model that the site registers belongs to exactly one area (tests/administration/test_overview.py).
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy


@dataclass(frozen=True, slots=True)
class Noun:
    """A model, by its label. Technical records are listed behind the others."""

    label: str
    plural: Any
    singular: Any
    is_technical: bool = False

    @property
    def url(self) -> str:
        return reverse(f"admin:{self.label.replace('.', '_')}_changelist")


@dataclass(frozen=True, slots=True)
class Area:
    name: Any
    nouns: tuple[Noun, ...]


def _technical(label: str, plural: Any, singular: Any) -> Noun:
    return Noun(label, plural, singular, is_technical=True)


AREAS = (
    Area(
        gettext_lazy("People"),
        (
            Noun("accounts.user", gettext_lazy("People"), gettext_lazy("Person")),
            Noun("accounts.sessiontoken", gettext_lazy("API sessions"), gettext_lazy("API session")),
            Noun("account.emailaddress", gettext_lazy("Email addresses"), gettext_lazy("Email address")),
            _technical("accounts.knownaddress", gettext_lazy("Known networks"), gettext_lazy("Known network")),
        ),
    ),
    Area(
        gettext_lazy("Developers and agents"),
        (
            Noun("developers.organization", gettext_lazy("Organizations"), gettext_lazy("Organization")),
            Noun("agents.agent", gettext_lazy("Agents"), gettext_lazy("Agent")),
            Noun("policies.policy", gettext_lazy("Policies"), gettext_lazy("Policy")),
            Noun("resources.resourceserver", gettext_lazy("Resource servers"), gettext_lazy("Resource server")),
            Noun("developers.developer", gettext_lazy("Developers"), gettext_lazy("Developer")),
            _technical("resources.customscope", gettext_lazy("Own scopes"), gettext_lazy("Own scope")),
            _technical("resources.scopeprefix", gettext_lazy("Scope prefixes"), gettext_lazy("Scope prefix")),
            _technical("developers.apikey", gettext_lazy("API keys"), gettext_lazy("API key")),
            _technical("agents.clientsecret", gettext_lazy("Client secrets"), gettext_lazy("Client secret")),
            _technical(
                "resources.resourceserversecret",
                gettext_lazy("Resource server secrets"),
                gettext_lazy("Resource server secret"),
            ),
        ),
    ),
    Area(
        gettext_lazy("Consent"),
        (
            Noun("consent.consent", gettext_lazy("Consents"), gettext_lazy("Consent")),
            Noun("approvals.approval", gettext_lazy("Approvals"), gettext_lazy("Approval")),
            Noun("tokens.tokenfamily", gettext_lazy("Token families"), gettext_lazy("Token family")),
            _technical(
                "consent.authorizationcode", gettext_lazy("Authorization codes"), gettext_lazy("Authorization code")
            ),
            _technical("tokens.accesstoken", gettext_lazy("Access tokens"), gettext_lazy("Access token")),
            _technical("tokens.refreshtoken", gettext_lazy("Refresh tokens"), gettext_lazy("Refresh token")),
        ),
    ),
    Area(gettext_lazy("Log"), (Noun("audit.entry", gettext_lazy("Log entries"), gettext_lazy("Log entry")),)),
    Area(
        gettext_lazy("Operations"),
        (
            Noun("tokens.signingkey", gettext_lazy("Signing keys"), gettext_lazy("Signing key")),
            Noun("core.taskrun", gettext_lazy("Background tasks"), gettext_lazy("Background task")),
            Noun("auth.group", gettext_lazy("Staff roles"), gettext_lazy("Staff role")),
        ),
    ),
)
NOUNS = {noun.label: noun for area in AREAS for noun in area.nouns}


def noun_of(model: Any) -> Noun:
    """Return what the rows of a model are called. Raises `KeyError` for a model without a place in the site."""
    return NOUNS[model._meta.label_lower]


def may_read(request: HttpRequest, model: Any) -> bool:
    """Return whether the administrator may read the rows of this model in the site."""
    page = admin.site._registry.get(model)
    return page is not None and page.has_view_permission(request)


def areas_for(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the areas with what the administrator may read, for the navigation."""
    readable = {model._meta.label_lower for model in admin.site._registry if may_read(request, model)}
    found = [(area, [noun for noun in area.nouns if noun.label in readable]) for area in AREAS]
    return [_describe(request, area, nouns) for area, nouns in found if nouns]


def _describe(request: HttpRequest, area: Area, nouns: list[Noun]) -> dict[str, Any]:
    links: list[dict[str, Any]] = [{"noun": noun, "is_current": request.path.startswith(noun.url)} for noun in nouns]
    return {
        "name": area.name,
        "url": nouns[0].url,
        "is_current": any(link["is_current"] for link in links),
        "links": [link for link in links if not link["noun"].is_technical],
        "technical": [link for link in links if link["noun"].is_technical],
    }
