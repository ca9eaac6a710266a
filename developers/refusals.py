"""The log of what members and keys tried to do without the role for it."""

from django.db import transaction

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import record
from core.actor import Actor
from core.errors import Throttled
from developers.access import Access
from developers.roles import Right, RoleInsufficient
from limits.throttle import Subject, Throttle

# A program that tries again and again must not fill the log.
LOGGED = "60/hour"


def record_refusal(*, actor: Actor, access: Access, error: RoleInsufficient, right: Right, act: str) -> None:
    """Log that the caller's role does not permit `act`, the name of an operation or of a page, which needs `right`.

    A service can need more: the `error` says what.
    """
    try:
        Throttle("role-refusals", LOGGED).hit(Subject(f"actor:{actor.id}"))
    except Throttled:
        return
    metadata = {"act": act, "role": access.role.value, "right": (error.right or right).value}
    with transaction.atomic():
        record(
            Draft(
                Event.MEMBER_REFUSED,
                actor,
                Outcome.DENIED,
                organization_id=access.organization_id,
                reason="role_insufficient",
                metadata=metadata,
            )
        )
