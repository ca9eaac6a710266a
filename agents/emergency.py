"""The emergency stop: an administrator's last resort, which stops all agents of all organizations."""

from django.db import transaction
from django.utils.translation import gettext_noop

from agents.errors import EverythingStopped
from agents.models import EmergencyStop
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.locks import exclude_grants, revocation, share_grants
from core.sql import fetch_one, pipelined

NOTICE = gettext_noop("An administrator has stopped all agents.")
LOOK = "SELECT 1 FROM agents_emergencystop"


def emergency_stop() -> EmergencyStop | None:
    """Return the emergency stop that is in force, or None."""
    return EmergencyStop.objects.first()


def is_everything_stopped() -> bool:
    """Return whether everything is stopped. A new stop waits until the caller's transaction has ended."""
    if not transaction.get_connection().in_atomic_block:
        return fetch_one(LOOK) is not None
    with pipelined():  # but in statements of their own: one that waits for the lock sees the rows as they were before
        share_grants()
        return fetch_one(LOOK) is not None


def require_running() -> None:
    """Raise `EverythingStopped` while everything is stopped."""
    if is_everything_stopped():
        raise EverythingStopped(NOTICE)


def stop_everything(*, actor: Actor, reason: str) -> bool:
    """Stop all agents. Return False if they were already stopped.

    After this returns, every request is denied, no access is granted and no token is issued. Only `lift_emergency_stop`
    lifts this stop, and it leaves other stops in force.
    """
    with revocation():
        exclude_grants()
        if EmergencyStop.objects.exists():
            return False
        now = clock.now()
        EmergencyStop.objects.create(stopped_at=now, reason=reason)
        record(Draft(event=Event.EVERYTHING_STOPPED, actor=actor, metadata={"reason": reason}))
    return True


@transaction.atomic
def lift_emergency_stop(*, actor: Actor, reason: str) -> bool:
    """Lift the emergency stop. Return False if there was none. Other stops stay in force."""
    deleted, _ = EmergencyStop.objects.all().delete()
    if deleted:
        record(Draft(event=Event.EVERYTHING_STOP_LIFTED, actor=actor, metadata={"reason": reason}))
    return bool(deleted)
