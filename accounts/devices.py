"""Devices: the browsers and programs with which a user has signed in.

A browser is recognized by a cookie with a random secret, and a program by the name in its user agent and its network,
because programs keep no cookies. A user agent alone would let an attacker look like the owner's browser, and an address
alone would report every new network that the owner uses. A device that the account has not used before is logged, and
the user is mailed.
"""

from datetime import datetime, timedelta

from accounts.models import KnownDevice, User
from accounts.notices import add_notice
from audit.entries.drafts import Draft
from audit.events import Event
from core import clock, secrets
from core.actor import Actor
from core.browser import KNOWN_DEVICE_LIFETIME
from core.crypto import keyed_digest
from core.sweeps import BATCH, delete_batch
from core.user_agents import program_of
from limits.throttle import address_group

# The first device of an account younger than this is not reported: the owner has just signed up with it.
NEW_ACCOUNT = timedelta(hours=1)


def remember_device(*, actor: Actor, user: User, secret: str = "", is_new: bool = False, now: datetime) -> list[Draft]:
    """Record that the user signs in with this device. Return what the caller must log.

    `secret` comes from the browser's cookie and is empty for a program. If it was created for this sign-in, `is_new` is
    true and it is not looked up. Call this in the transaction of the sign-in, which has locked the account.
    """
    digest = secrets.digest(secret) if secret else _program_digest(actor)
    devices = KnownDevice.objects.filter(user=user)
    if not is_new and devices.filter(digest=digest).update(last_seen_at=now):
        return []
    is_first = now - user.created_at < NEW_ACCOUNT and not devices.exists()
    KnownDevice.objects.create(user=user, digest=digest, last_seen_at=now)
    if is_first:
        return []
    actor = actor.acting_as("user", user.id)
    if user.device_mails:
        add_notice("new_device", user=user, actor=actor, at=now)
    return [Draft(event=Event.USER_DEVICE_ADDED, actor=actor, user_id=user.id)]


def delete_unused_devices(*, limit: int = BATCH) -> int:
    """Delete up to `limit` devices without a sign-in in `KNOWN_DEVICE_LIFETIME`; return the number deleted."""
    unused = KnownDevice.objects.filter(last_seen_at__lte=clock.now() - KNOWN_DEVICE_LIFETIME)
    return delete_batch(unused.order_by("last_seen_at"), limit=limit)


def _program_digest(actor: Actor) -> str:
    """Return a digest of the program's name, without its version, and the network that it signs in from."""
    facts = f"{program_of(actor.user_agent)} {address_group(actor.ip or '')}"
    return keyed_digest("known-program", facts.encode())
