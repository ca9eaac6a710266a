"""End the resource servers of others in a domain that an organization proves.

Their organizations registered them without a proof, and agents and users take them for services of the domain.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.dispatch import receiver

from accounts.notices import add_notice
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import append
from core.actor import SYSTEM
from core.locks import lock_identifiers, revocation
from core.uris import host_of
from developers.domain_holders import claim_among, claims_around
from developers.models import Developer, DomainClaim
from developers.signals import domain_proved
from resources.models import ReservedIdentifier, ResourceServer
from resources.signals import servers_taken_over

# A mail names no more identifiers than these.
MAX_NAMED = 10


@receiver(domain_proved)
def take_over_servers(*, claim: DomainClaim, now: datetime, **kwargs: Any) -> None:
    """End the resource servers of other organizations that the proof covers, with their tokens and reservations."""
    lock_identifiers()
    claims = claims_around(claim.name)
    rows = ResourceServer.objects.filter(identifier__contains=claim.name).exclude(organization=claim.organization_id)
    candidates = rows.select_for_update(of=("self",)).order_by("id")
    taken = [server for server in candidates if _covers(claim, claims, server.identifier)]
    reserved = ReservedIdentifier.objects.filter(identifier__contains=claim.name)
    others = reserved.exclude(organization=claim.organization_id).values_list("pk", flat=True)
    ReservedIdentifier.objects.filter(pk__in=[one for one in others if _covers(claim, claims, one)]).delete()
    if not taken:
        return
    with revocation():
        servers_taken_over.send(sender=ResourceServer, servers=taken, now=now)
        append([_draft(server, claim) for server in taken], at=now)
        _tell(taken, claim, now)
        ResourceServer.objects.filter(pk__in=[server.pk for server in taken]).delete()


def _covers(claim: DomainClaim, claims: Iterable[DomainClaim], identifier: str) -> bool:
    decides = claim_among(claims, host_of(identifier))
    return decides is not None and decides.organization_id == claim.organization_id


def _draft(server: ResourceServer, claim: DomainClaim) -> Draft:
    """Return the entry for the organization that loses the server. It names the domain, but not who proved it."""
    return Draft(
        event=Event.RESOURCE_SERVER_DELETED,
        actor=SYSTEM,
        organization_id=server.organization_id,
        metadata={"resourceServerId": server.id, "identifier": server.identifier, "provedDomain": claim.name},
    )


def _tell(taken: Iterable[ResourceServer], claim: DomainClaim, now: datetime) -> None:
    """Let a worker send one mail to each developer of each organization."""
    by_organization = defaultdict(list)
    for server in taken:
        by_organization[server.organization_id].append(server.identifier)
    members = Developer.objects.filter(organization__in=by_organization, ended_at=None, user__is_active=True)
    for member in members.select_related("user"):
        lost = by_organization[member.organization_id]
        facts = {
            "organizationId": member.organization_id,
            "domain": claim.name,
            "identifiers": lost[:MAX_NAMED],
            "others": len(lost[MAX_NAMED:]),
        }
        add_notice("services_lost", user=member.user, actor=SYSTEM, at=now, facts=facts)
