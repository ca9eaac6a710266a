"""Carry tokens and delegations over when their consent is replaced or narrowed, and end what it no longer permits.

Danger: lock delegations before families, so that the family of a redemption in progress is changed, too.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any

from django.dispatch import receiver

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import append
from consent.models import Consent
from consent.signals import consent_narrowed, consent_replaced
from core.actor import Actor
from core.locks import after_decisions
from core.sweeps import BATCH
from resources.audiences import Service, services_of
from tokens.chains import Handover, is_permitted, narrow_grant, read_chains
from tokens.delegated_approvals import end_unreachable
from tokens.delegations import draft_delegation, live_delegations
from tokens.models import Delegation, TokenFamily


@receiver(consent_replaced)
def move_tokens(*, replaced: Consent, replacement: Consent, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Move the delegations and families of a replaced consent to its replacement.

    Each family keeps the scopes of its own request, without those that the user has taken back.
    """
    moved = Delegation.objects.filter(consent=replaced, expires_at__gt=now).update(consent=replacement)
    _move_families(replaced, replacement)
    if moved:
        _end_delegations(replacement, actor, now, "consent_replaced")


@receiver(consent_narrowed)
def narrow_tokens(*, consent: Consent, removed: Sequence[str], actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Take the removed scopes from the families, so that granting one again does not return it to earlier devices."""
    live = live_delegations(now).filter(consent=consent)
    # PostgreSQL cannot lock rows of an outer join.
    handed = Delegation.objects.filter(pk__in=live.values("pk"))
    locked = list(handed.select_for_update(no_key=True).values_list("pk", flat=True))
    if removed:
        rows = TokenFamily.objects.filter(consent=consent)
        _narrow(list(rows.select_for_update(no_key=True).order_by("id")), consent)
    if locked:
        _end_delegations(consent, actor, now, "consent_narrowed")


def _move_families(replaced: Consent, replacement: Consent) -> None:
    rows = TokenFamily.objects.filter(consent=replaced)
    if set(replaced.granted_scopes) <= set(replacement.granted_scopes):
        # Nothing is taken back. The caller has locked the user, so nothing else locks several of these families.
        rows.update(consent=replacement)
        return
    _narrow(list(rows.select_for_update(no_key=True).order_by("id")), replacement)


def _narrow(families: list[TokenFamily], target: Consent) -> None:
    for family in families:
        removed = {scope for scope in family.scope.split() if scope not in target.granted_scopes}
        family.consent = target
        family.removed_scopes = sorted({*family.removed_scopes, *removed})
    TokenFamily.objects.bulk_update(families, ["consent", "removed_scopes"])


def _end_delegations(consent: Consent, actor: Actor, now: datetime, reason: str) -> None:
    """End the delegations that the consent, as it is now, does not permit, and those of whose scopes none is left."""
    ended = list(_beyond(consent, now))
    Delegation.objects.filter(pk__in=[row.pk for row, _ in ended]).update(ended_at=now)
    services = services_of({pair for row, _ in ended for pair in row.from_family.resource_owners.items()})
    for some in batched(ended, BATCH):
        append([_draft(row, chain, services, actor, reason) for row, chain in some], at=now)
    after_decisions(partial(end_unreachable, consent.pk, now))


def _beyond(consent: Consent, now: datetime) -> Iterator[tuple[Delegation, list[Handover]]]:
    """Yield the live delegations that end, with their chains.

    What has nothing left below one that ends needs no mark of its own. Whether a developer is verified does not
    count here: that can change again, and each call asks for it.
    """
    marked: set[str] = set()
    for row, chain in read_chains(live_delegations(now).filter(consent=consent)):
        receiving, root = chain[-1].receiving_organization_id, chain[0].organization_id
        is_out = not is_permitted(consent.delegation, root, receiving, is_verified=True)
        if is_out or (marked.isdisjoint(row.path) and not narrow_grant(chain, consent.granted_scopes, consent.targets)):
            marked.add(row.id)
            yield row, chain


def _draft(row: Delegation, chain: Sequence[Handover], services: Sequence[Service], actor: Actor, reason: str) -> Draft:
    owners = row.from_family.resource_owners
    return draft_delegation(
        Event.DELEGATION_ENDED,
        actor=actor,
        delegation=row,
        metadata={"reason": reason},
        services=[one for one in services if owners.get(one.identifier) == one.organization_id],
        chain=chain,
    )
