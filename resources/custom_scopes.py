"""The scopes that an organization defines for its own resource servers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from django.utils.translation import gettext_noop

from core.errors import FieldError, Invalid
from core.text import echo, nearest
from core.wording import Filled
from developers.models import Organization
from resources.catalogue import (
    LABELS,
    MAX_UNKNOWN,
    SCOPE_ID,
    catalogue,
    problem_with_actions,
    reserved_prefixes,
)
from resources.errors import ScopePrefixTaken
from resources.models import CustomScope, ScopePrefix

MAX_SCOPES = 100
# Per organization, across all its resource servers. Scopes are never deleted, because users who granted them need them.
MAX_OWN_SCOPES = 500
# Likewise, of `covers` and `excludes` together. Verify has them in memory, and consents and the log store them.
MAX_ACTIONS = 200
TEXTS = ("risk_level", "title", "description", "cannot")
CHANGEABLE = (*TEXTS, "labels", "is_reversible", "covers", "excludes", "retired", "edition")


@dataclass(frozen=True, slots=True)
class ScopeDefinition:
    """A scope that an organization defines, with the texts of the consent screen.

    `labels` are among `resources.catalogue.LABELS`. A scope whose effect is not reversible is asked for by default.
    `covers` and `excludes` are actions with the prefix of the scope. None leaves them as they are.
    """

    id: str
    risk_level: str
    title: str
    description: str
    cannot: str
    labels: Collection[str] = ()
    is_reversible: bool = False
    covers: Sequence[str] | None = None
    excludes: Sequence[str] | None = None

    @property
    def prefix(self) -> str:
        return self.id.split(":", 1)[0]


def save_scopes(
    organization: Organization, scopes: Sequence[str | ScopeDefinition], offered: Collection[str] = ()
) -> list[str]:
    """Save the definitions among `scopes`. Return all ids, in order. Raises `Invalid`, `ScopePrefixTaken`.

    `offered` are those that the resource server has now. The catalogue may have lost some of them.
    """
    if not 1 <= len(scopes) <= MAX_SCOPES:
        raise Invalid.field("scopes", Filled(gettext_noop("Must have 1 to %(most)d scopes."), most=MAX_SCOPES))
    own = set(CustomScope.objects.filter(organization=organization).values_list("id", flat=True))
    problems = ((index, _problem_with_scope(scope, own, offered)) for index, scope in enumerate(scopes))
    errors = (FieldError(f"scopes.{index}", problem) for index, problem in problems if problem)
    if first_errors := tuple(islice(errors, MAX_UNKNOWN)):
        raise Invalid(gettext_noop("A scope is not valid."), errors=first_errors)
    definitions = [scope for scope in scopes if isinstance(scope, ScopeDefinition)]
    if len(own | {scope.id for scope in definitions}) > MAX_OWN_SCOPES:
        text = gettext_noop("An organization can define at most %(most)d scopes. Use existing ones.")
        raise Invalid.field("scopes", Filled(text, most=MAX_OWN_SCOPES))
    _define(organization, definitions)
    return list(dict.fromkeys(scope if isinstance(scope, str) else scope.id for scope in scopes))


def is_own_scope(organization: Organization, scope_id: str) -> bool:
    """Return whether the organization has defined a scope with this id."""
    return CustomScope.objects.filter(organization=organization, id=scope_id).exists()


def require_free_prefixes(organization: Organization, prefixes: Sequence[str]) -> None:
    """Raise `ScopePrefixTaken` if one of the prefixes belongs to another organization."""
    others = ScopePrefix.objects.filter(prefix__in=prefixes).exclude(organization=organization)
    taken = others.order_by("prefix").first()
    if taken is not None:
        text = gettext_noop("Another organization uses the prefix %(prefix)s. Choose another prefix.")
        raise ScopePrefixTaken(Filled(text, prefix=taken.prefix))


def problem_with_id(scope_id: str) -> str | None:
    """Return why no organization can define a scope with this id, or None if one can."""
    if not SCOPE_ID.fullmatch(scope_id):
        return gettext_noop("The id must be prefix:name in lower case, such as tickets:read.")
    prefix = scope_id.partition(":")[0]
    if prefix in reserved_prefixes():
        return Filled(gettext_noop("The prefix %(prefix)s is reserved for the catalogue."), prefix=prefix)
    return None


def _problem_with_scope(scope: str | ScopeDefinition, own: Collection[str], offered: Collection[str]) -> str | None:
    if isinstance(scope, str):
        return None if scope in catalogue() or scope in own else _explain_unknown(scope, own, offered)
    if problem := problem_with_id(scope.id):
        return problem
    if not LABELS.issuperset(scope.labels):
        return Filled(gettext_noop("The labels must be among %(labels)s."), labels=", ".join(sorted(LABELS)))
    return problem_with_actions(scope.id, scope.covers or (), scope.excludes or ())


def _explain_unknown(scope: str, own: Collection[str], offered: Collection[str]) -> str:
    if scope in offered:
        return Filled(gettext_noop("%(scope)s has left the catalogue. Leave it out."), scope=scope)
    choice = nearest(scope.lower(), {*catalogue(), *own})
    text = gettext_noop(
        "%(scope)s is neither in the catalogue nor one of your organization's scopes. "
        "GET /api/v1/scopes lists the catalogue."
    )
    if choice:
        text = gettext_noop(
            "%(scope)s is neither in the catalogue nor one of your organization's scopes. Did you mean %(choice)s?"
        )
    return Filled(text, scope=echo(scope), choice=choice)


def _define(organization: Organization, scopes: Sequence[ScopeDefinition]) -> None:
    """Save the scopes. The first organization to use a prefix owns it. Raises `Invalid`, `ScopePrefixTaken`.

    Rows are written in one order, because organizations that claim the same prefixes at once would otherwise deadlock.
    """
    # The last definition of an id counts, as if they were saved one after another.
    found = {scope.id: scope for scope in sorted(scopes, key=lambda scope: scope.id)}
    if not found:
        return
    _claim(organization, sorted({scope.prefix for scope in found.values()}))
    # Under the lock of the organization: which actions are new depends on what is stored, and so does their number.
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    earlier = {row.id: row for row in CustomScope.objects.filter(organization=organization)}
    rows = [_row_of(organization, scope, earlier.get(scope.id)) for scope in found.values()]
    _require_sound_actions({**earlier, **{row.id: row for row in rows}})
    CustomScope.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=CHANGEABLE)
    # Verify keeps the actions with the organization's policies, for as long as this version is current.
    organization.save(update_fields=["policy_version"])


def _row_of(organization: Organization, scope: ScopeDefinition, earlier: CustomScope | None) -> CustomScope:
    fields = asdict(scope) | {"labels": sorted(set(scope.labels))}
    before = earlier or CustomScope()
    covers = before.covers if scope.covers is None else scope.covers
    excludes = before.excludes if scope.excludes is None else scope.excludes
    edition = before.edition + any(action not in before.covers for action in covers)
    fields["covers"] = {action: before.covers.get(action, edition) for action in covers}
    fields["excludes"] = list(excludes)
    former = {*before.covers, *before.excludes, *before.retired}.difference(covers, excludes)
    return CustomScope(organization=organization, edition=edition, retired=sorted(former), **fields)


def _require_sound_actions(rows: Mapping[str, CustomScope]) -> None:
    """Raise `Invalid` if the scopes of an organization name too many actions, or one covers another."""
    if sum(len(row.covers) + len(row.excludes) + len(row.retired) for row in rows.values()) > MAX_ACTIONS:
        text = gettext_noop(
            "The scopes of an organization can name at most %(most)d actions, with those of earlier definitions."
        )
        raise Invalid.field("scopes", Filled(text, most=MAX_ACTIONS))
    for row in rows.values():
        for action in row.covers:
            if action in rows:
                text = gettext_noop("%(scope)s cannot cover %(action)s, which is a scope that users allow by itself.")
                raise Invalid.field("scopes", Filled(text, scope=row.id, action=action))


def _claim(organization: Organization, prefixes: Sequence[str]) -> None:
    """Make the organization the owner of each prefix that has none. Raises `ScopePrefixTaken`."""
    rows = [ScopePrefix(prefix=prefix, organization=organization) for prefix in prefixes]
    ScopePrefix.objects.bulk_create(rows, ignore_conflicts=True)
    require_free_prefixes(organization, prefixes)
