"""The impact of deleting a resource server, counted before a developer deletes it.

It counts live token families, because tokens of an earlier consent live on after a later one has replaced it. It needs
no index: the page is opened rarely, and an index would cost each exchange a write.
"""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Q
from django.db.models.fields.json import KeyTransform

from consent.models import Consent
from core.text_lists import ListsAny, NamesAny
from resources.models import ResourceServer
from tokens.models import TokenFamily


@dataclass(frozen=True, slots=True)
class ServiceImpact:
    """Whose tokens are refused if the service is deleted. A grant is what a user allows an agent.

    An agent that acts for no user has no grant.
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
