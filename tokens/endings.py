"""End tokens when an account is erased or reclaimed, or when another organization takes over their resource server."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any

from django.db.models import Q
from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_erased, account_reclaimed
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import append
from core.actor import SYSTEM, Actor
from core.fields import ListsAny
from core.locks import after_decisions
from core.sweeps import BATCH
from developers.selectors import sole_organizations
from resources.audiences import Service, services_of
from resources.models import ResourceServer
from resources.signals import servers_taken_over
from tokens.delegated_approvals import end_unreachable
from tokens.families import draft_family, record_family
from tokens.models import Delegation, RefreshToken, TokenFamily

# What the entry about the end of a family says.
LOGGED = ("user_id", "consent_id", "resource_owners", "application__organization_id")


@receiver(account_erased)
def end_of_erased(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """End the user's families, and delete the responses with tokens that could be repeated.

    Delegations have ended with the families that they come from. What they are bounded to and for can name people.
    """
    _end(Q(user=user), actor, now, "account_erased")
    Delegation.objects.filter(user=user).update(targets={}, limits={}, task="")
    answered = RefreshToken.objects.filter(family__user=user, sealed_answer__isnull=False)
    answered.update(sealed_answer=None)


@receiver(account_reclaimed)
def end_of_reclaimed(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """End the user's families, and the client-credentials families of the agents of the user's own organizations."""
    owned = Q(user=user) | Q(application__organization__in=sole_organizations(user), user=None)
    _end(owned, actor, now, "account_reclaimed")
    delegated = Delegation.objects.filter(user=user, expires_at__gt=now).order_by()
    for consent_id in delegated.values_list("consent_id", flat=True).distinct():
        after_decisions(partial(end_unreachable, consent_id, now))


@receiver(servers_taken_over)
def end_of_servers(*, servers: Sequence[ResourceServer], now: datetime, **kwargs: Any) -> None:
    """End the families that name one of the servers, other services beside it or not.

    Otherwise they would work again if the organization that proved the domain lost it.
    """
    lost = {server.identifier: server.organization_id for server in servers}
    live = TokenFamily.objects.filter(revoked_at=None, expires_at__gt=now)
    # One scan: there may be many servers.
    named = live.select_related("application").filter(ListsAny("resource", lost)).only(*LOGGED)
    ended = [one for one in named if lost.items() & one.resource_owners.items()]
    services = services_of(pair for one in ended for pair in one.resource_owners.items())
    for some in batched(ended, BATCH):
        live.filter(pk__in=[one.pk for one in some]).update(revoked_at=now)
        append([_draft(one, lost, services) for one in some], at=now)


def _draft(family: TokenFamily, lost: Mapping[str, str], services: Sequence[Service]) -> Draft:
    owners = family.resource_owners
    own = [service for service in services if owners.get(service.identifier) == service.organization_id]
    metadata = {"lostResources": sorted(lost.keys() & owners.keys())}
    return draft_family(Event.TOKEN_REVOKED, actor=SYSTEM, family=family, services=own, metadata=metadata)


def _end(owned: Q, actor: Actor, now: datetime, reason: str) -> None:
    live = TokenFamily.objects.select_related("consent", "application").filter(owned, revoked_at=None)
    for family in live.select_for_update(of=("self",)).order_by("pk"):
        TokenFamily.objects.filter(pk=family.pk).update(revoked_at=now)
        record_family(Event.TOKEN_REVOKED, actor=actor, family=family, now=now, metadata={"reason": reason})
