"""Periodic checks of the domains that organizations have proved, and the ends of invitations and organizations."""

import logging
import time

from celery import shared_task

from core import clock
from core.errors import NotFound, Unavailable
from core.sweeps import SECONDS, sweep
from developers import invitations
from developers.domains import RETRY_AFTER, recheck_domain
from developers.models import DomainClaim, Organization
from developers.stopping import finish_deletion

BATCH = 100
logger = logging.getLogger(__name__)


@shared_task
def check_domains() -> int:
    """Check the domains that are due, for up to `SECONDS`. Return how many were checked."""
    deadline = time.monotonic() + SECONDS
    due = DomainClaim.objects.filter(due_at__lte=clock.now()).order_by("due_at")
    return sum(_check(claim) for claim in due[:BATCH] if time.monotonic() < deadline)


@shared_task
def delete_organizations() -> int:
    """Delete the organizations whose time to be restored is over, for up to `SECONDS`. Return how many."""
    deadline = time.monotonic() + SECONDS
    due = Organization.objects.filter(deletes_at__lte=clock.now(), deleted_at=None).order_by("deletes_at")
    ids = due.values_list("pk", flat=True)[:BATCH]
    return sum(finish_deletion(organization_id) for organization_id in ids if time.monotonic() < deadline)


def _check(claim: DomainClaim) -> bool:
    """Check a domain unless another worker does. Return whether it was checked."""
    later = clock.now() + RETRY_AFTER
    if not DomainClaim.objects.filter(pk=claim.pk, due_at=claim.due_at).update(due_at=later):
        return False
    try:
        recheck_domain(claim)
    except (NotFound, Unavailable):
        return False  # it was removed meanwhile, or is due again later
    except Exception:  # one domain must not hold back the others
        logger.exception("The domain %s could not be checked.", claim.name)
        return False
    return True


@shared_task
def sweep_invitations() -> int:
    return sweep(invitations.expire_invitations, invitations.delete_ended_invitations)
