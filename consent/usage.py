"""What an agent has used of what its users granted, and which scopes a user could remove because they are unused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.readers.uses import Uses, find_uses
from consent.delegation import hands_on
from consent.models import Consent

# A scope that has been granted and unused for this long is suggested for removal.
UNUSED_FOR = timedelta(days=30)
UNUSED = Uses()


@dataclass(frozen=True, slots=True)
class Usage:
    """The uses of a consent and of those that it replaced, and the scopes that are suggested for removal."""

    uses: Uses
    suggested_removals: Sequence[str]


def usage_of(consents: Sequence[Consent], now: datetime, replaced: Sequence[Consent] | None = None) -> dict[str, Usage]:
    """Return the usage of each consent, by its id. `replaced` are all that they replaced, if these have been read."""
    chains = _Chains(consents, replaced)
    uses = _uses_of(chains)
    found = {}
    for consent in consents:
        used = uses.get(consent.id, UNUSED)
        found[consent.id] = Usage(used, _suggested(consent, used, chains.earlier(consent), now))
    return found


class _Chains:
    """The consents, and all that they replaced."""

    def __init__(self, consents: Sequence[Consent], replaced: Sequence[Consent] | None = None) -> None:
        self.ids = {consent.id for consent in consents}
        if replaced is None:
            found = Consent.objects.filter(replaced_by__in=self.ids).exclude(pk__in=self.ids)
            replaced = list(found.only("granted_scopes", "decided_at", "replaced_by_id"))
        self.rows = sorted([*consents, *replaced], key=_last_decided_first)

    def earlier(self, consent: Consent) -> list[Consent]:
        """Return the consents that this one replaced, latest first."""
        return [row for row in self.rows if row.replaced_by_id == consent.id]


def _last_decided_first(consent: Consent) -> float:
    return -consent.decided_at.timestamp() if consent.decided_at else 0.0


def _uses_of(chains: _Chains) -> Mapping[str, Uses]:
    uses = find_uses({row.id for row in chains.rows})
    found: dict[str, Uses] = {}
    for row in chains.rows:
        used = uses.get(row.id)
        if used:
            for one in chains.ids.intersection((row.id, row.replaced_by_id)):
                found[one] = found.get(one, UNUSED).plus(used)
    return found


def _suggested(consent: Consent, used: Uses, earlier: Sequence[Consent], now: datetime) -> list[str]:
    """Return the unused scopes of a live consent, or none if some uses were not counted."""
    if consent.status_at(now) != Consent.Status.APPROVED or not used.is_complete:
        return []
    before = now - UNUSED_FOR
    counted = [scope for scope in consent.granted_scopes if not hands_on(consent, scope)]
    old = [scope for scope in counted if _granted_at(scope, consent, earlier) <= before]
    return [scope for scope in old if scope not in used.scopes or used.scopes[scope].last_at <= before]


def _granted_at(scope: str, consent: Consent, earlier: Sequence[Consent]) -> datetime:
    """Return since when the connection has had the scope without interruption."""
    since = consent.decided_at or consent.created_at
    for one in earlier:
        if scope not in one.granted_scopes:
            break
        since = one.decided_at or since
    return since
