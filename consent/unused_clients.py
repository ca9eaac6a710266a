"""Delete stock clients (`agents/registration.py`) whose requests no user ever decided."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from agents.models import Agent
from agents.services import draft_agent
from audit.events import Event
from audit.services import append
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from core.sweeps import BATCH, lock_batch

UNUSED_REGISTRATION_LIFETIME = timedelta(days=7)


@transaction.atomic
def delete_unused_registrations(*, limit: int = BATCH) -> int:
    """Delete up to `limit` old stock clients without a decided consent; return the number deleted."""
    long_ago = clock.now() - UNUSED_REGISTRATION_LIFETIME
    decided = Consent.objects.filter(agent=OuterRef("pk"), decided_at__isnull=False)
    stock = Agent.objects.exclude(registration_source=Agent.RegistrationSource.MANUAL)
    # Keep stopped clients: a deleted one could return with the same metadata document, without its stop.
    unused = stock.filter(~Exists(decided), created__lte=long_ago, stopped_at=None)
    # Search again among the locked ones: an approval may have committed between the first search and its locks.
    agents = list(unused.filter(pk__in=lock_batch(unused.order_by("created"), limit)))
    append([draft_agent(Event.AGENT_EXPIRED, actor=SYSTEM, agent=one, metadata={"name": one.name}) for one in agents])
    Agent.objects.filter(pk__in=[agent.pk for agent in agents]).delete()
    return len(agents)
