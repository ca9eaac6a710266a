"""The scopes that an organization defines for its own resource servers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from core.errors import FieldError, Invalid
from core.text import echo, nearest
from developers.models import Organization
from resources.catalogue import MAX_UNKNOWN, SCOPE_ID, catalogue, reserved_prefixes
from resources.errors import ScopePrefixTaken
from resources.models import CustomScope, ScopePrefix

MAX_SCOPES = 100
# Per organization, across all its resource servers. Scopes are never deleted, because users who granted them need them.
MAX_OWN_SCOPES = 500


@dataclass(frozen=True, slots=True)
class ScopeDefinition:
    """A scope that an organization defines, with the texts of the consent screen."""

    id: str
    risk_level: str
    title: str
    description: str
    cannot: str

    @property
    def prefix(self) -> str:
        return self.id.split(":", 1)[0]


def save_scopes(organization: Organization, scopes: Sequence[str | ScopeDefinition]) -> list[str]:
    """Save the definitions among `scopes`. Return all ids, in order. Raises `Invalid`, `ScopePrefixTaken`."""
    if not 1 <= len(scopes) <= MAX_SCOPES:
        raise Invalid.field("scopes", f"Must have 1 to {MAX_SCOPES} scopes.")
    own = set(CustomScope.objects.filter(organization=organization).values_list("id", flat=True))
    problems = ((index, _problem_with_scope(scope, own)) for index, scope in enumerate(scopes))
    errors = (FieldError(f"scopes.{index}", problem) for index, problem in problems if problem)
    if first_errors := tuple(islice(errors, MAX_UNKNOWN)):
        raise Invalid("A scope is not valid.", errors=first_errors)
    definitions = [scope for scope in scopes if isinstance(scope, ScopeDefinition)]
    if len(own | {scope.id for scope in definitions}) > MAX_OWN_SCOPES:
        raise Invalid.field("scopes", f"An organization can define at most {MAX_OWN_SCOPES} scopes. Use existing ones.")
    # In one order, because organizations that claim the same prefixes at once would otherwise deadlock.
    for scope in sorted(definitions, key=lambda scope: scope.id):
        _define(organization, scope)
    return list(dict.fromkeys(scope if isinstance(scope, str) else scope.id for scope in scopes))


def _problem_with_scope(scope: str | ScopeDefinition, own: Collection[str]) -> str | None:
    if isinstance(scope, str):
        return None if scope in catalogue() or scope in own else _explain_unknown(scope, own)
    if not SCOPE_ID.fullmatch(scope.id):
        return "The id must be prefix:name in lower case, such as tickets:read."
    if scope.prefix in reserved_prefixes():
        return f"The prefix {scope.prefix} is reserved for the catalogue."
    return None


def _explain_unknown(scope: str, own: Collection[str]) -> str:
    choice = nearest(scope.lower(), {*catalogue(), *own})
    hint = f"Did you mean {choice}?" if choice else "GET /api/v1/scopes lists the catalogue."
    return f"{echo(scope)} is neither in the catalogue nor one of your organization's scopes. {hint}"


def _define(organization: Organization, scope: ScopeDefinition) -> None:
    """Save a scope. The first organization to use its prefix owns the prefix. Raises `ScopePrefixTaken`."""
    prefix, _ = ScopePrefix.objects.get_or_create(prefix=scope.prefix, defaults={"organization": organization})
    if prefix.organization_id != organization.id:
        raise ScopePrefixTaken(f"Another organization uses the prefix {scope.prefix}. Choose another prefix.")
    texts = {
        "risk_level": scope.risk_level,
        "title": scope.title,
        "description": scope.description,
        "cannot": scope.cannot,
    }
    CustomScope.objects.update_or_create(id=scope.id, defaults={**texts, "organization": organization})
