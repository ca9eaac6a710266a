"""The impact of a stop and of deleting a resource server, counted beforehand."""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet, Value
from django.db.models.fields.json import KeyTransform
from django.dispatch import receiver

from consent.impact import live_within
from consent.models import Consent
from core.chains import MAX_DEPTH
from core.fields import ListsAny, NamesAny
from developers.impact import Reach
from developers.signals import impact_counted
from resources.models import ResourceServer
from tokens.delegations import live_delegations
from tokens.models import Delegation, TokenFamily


@receiver(impact_counted)
def count_tokens(*, reach: Reach, now: datetime, **kwargs: Any) -> dict[str, int]:
    """Return the numbers of families that can still yield tokens, and of live delegations, by one query."""
    counted = {"live_tokens": _families(reach, now), "delegations": _delegations(reach, now)}
    first, second = (
        rows.order_by().values(name=Value(name)).annotate(number=Count("*")).values_list("name", "number")
        for name, rows in counted.items()
    )
    return {**dict.fromkeys(counted, 0), **dict(first.union(second, all=True).order_by())}


def _families(reach: Reach, now: datetime) -> QuerySet[TokenFamily]:
    bounds = {"user": reach.user_id, "application": reach.agent_id, "application__organization": reach.organization_id}
    bounds = {name: value for name, value in bounds.items() if value is not None}
    live = TokenFamily.objects.filter(revoked_at=None, expires_at__gt=now, **bounds)
    return live.filter(Q(consent=None) | Q(consent__in=live_within(reach, now).values("pk")))


def _delegations(reach: Reach, now: datetime) -> QuerySet[Delegation]:
    """Return the live delegations by agents that the stop covers, and what was handed on from them.

    Delegations live for a day at most, so an index finds these by their ends.
    """
    live = live_delegations(now)
    if reach.user_id is not None:
        live = live.filter(user=reach.user_id)
    if reach.agent_id is not None:
        live = live.filter(_below("from_agent", reach.agent_id))
    if reach.organization_id is not None:
        live = live.filter(_below("from_agent__organization", reach.organization_id))
    return live


def _below(giver: str, value: str) -> Q:
    """Return the condition that such an agent handed over the delegation, or one above it."""
    return reduce(or_, (Q(**{f"{'parent__' * above}{giver}": value}) for above in range(MAX_DEPTH)))


@dataclass(frozen=True, slots=True)
class ServiceImpact:
    """Whose tokens are refused if the service is deleted. A grant is what a user allows an agent.

    An agent that acts for no user has no grant. Live token families are counted, because tokens of an earlier consent
    live on after a later one has replaced it. That needs no index: the page is opened rarely, and an index would cost
    each exchange a write.
    """

    users: int
    agents: int
    grants: int

    def __bool__(self) -> bool:
        return bool(self.agents)


def impact_on_service(server: ResourceServer, now: datetime) -> ServiceImpact:
    """Return how many users, agents and grants have tokens with which an agent can use the service now.

    Such tokens name the service as their audience. Those of the organization's own agents that name none are good
    there, too (`decisions.facts`): they count if the service offers one of their scopes. Single scopes that a user has
    removed since count as well, so the numbers are upper bounds.
    """
    is_granted = Q(consent=None) | Q(consent__status=Consent.Status.APPROVED, consent__expires_at__gt=now)
    live = TokenFamily.objects.filter(is_granted, revoked_at=None, expires_at__gt=now)
    is_offered = Q(NamesAny("scope", server.scopes))
    is_offered &= Q(consent=None) | Q(ListsAny("consent__granted_scopes", server.scopes))
    is_default = Q(ListsAny("resource", [settings.API_URL]), application__organization=server.organization_id)
    is_meant = Q(owner=server.organization_id) | (is_default & is_offered)
    numbers = {"users": "user", "agents": "application", "grants": "consent"}
    counts = {name: Count(column, distinct=True) for name, column in numbers.items()}
    owned = live.alias(owner=KeyTransform(server.identifier, "resource_owners"))
    return ServiceImpact(**owned.filter(is_meant).aggregate(**counts))
