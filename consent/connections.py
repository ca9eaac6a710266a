"""A connection: all that a person allows an agent, whichever services it names. At most one consent of it is live.

Approving a later request replaces the live consent. A database constraint holds the number to one; the person's row,
locked first, makes two approvals take turns, and an approval and a revocation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import User
from audit.events import Event
from consent.catalogue import InvalidScope, snapshot
from consent.errors import ConnectionChanged
from consent.models import Consent
from consent.records import record_consent
from consent.selectors import approved_consents, carried_scopes
from core.actor import SYSTEM, Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the person decided.

    Without `is_whole`, `scopes` decides about what was requested (None: all of it), and live scopes that were not
    requested stay. With it, `scopes` is the whole connection: everything else goes.

    `shown_id` is the live consent that the person was shown beside the request, "" for none, and None where nothing
    was shown.
    """

    scopes: Sequence[str] | None = None
    is_whole: bool = False
    shown_id: str | None = None


ALL_REQUESTED = Choice()


@dataclass(frozen=True, slots=True)
class Change:
    """What an approval makes of a connection: all that is granted then, and the consent it replaces, if any.

    `shown` are the words of every scope on the screen, those that were live already among them.
    """

    granted: list[str]
    shown: list[dict[str, str]]
    replaced: Consent | None

    def describe(self, requested: Sequence[str]) -> dict[str, Any]:
        """Return the change for the log."""
        before = self.replaced.granted_scopes if self.replaced else []
        return {
            "added": [scope for scope in self.granted if scope not in before],
            "kept": [scope for scope in self.granted if scope in before],
            "removed": [scope for scope in before if scope not in self.granted],
            "notGranted": [scope for scope in requested if scope not in self.granted],
            "shownScopes": self.shown,
            "replacedConsentId": self.replaced.id if self.replaced else None,
            "requestedScopes": list(requested),
        }


def plan_change(consent: Consent, user: User, choice: Choice, now: datetime) -> Change:
    """Lock the person's connection and return what approving `consent` makes of it.

    Danger: the caller holds the person's row (`hold_account`), so that two approvals take turns. Raises
    `ConnectionChanged` when it is not the connection that was shown, and `InvalidScope`.
    """
    live = _lock_live_consent(consent, user, now)
    if choice.shown_id is not None and choice.shown_id != (live.id if live else ""):
        raise ConnectionChanged("Read what the agent may do now, and decide again.")
    shown = [*consent.shown_scopes, *snapshot(carried_scopes(consent, live))]
    return Change(_granted(consent, live, choice), shown, live)


def replace_consent(*, actor: Actor, replaced: Consent, replacement: Consent, now: datetime) -> None:
    """Mark a live consent as replaced, and let those that it replaced point to its replacement."""
    Consent.objects.filter(replaced_by=replaced).update(replaced_by=replacement)
    changes = {"status": Consent.Status.REPLACED, "replaced_at": now, "replaced_by": replacement}
    Consent.objects.filter(pk=replaced.pk).update(**changes)
    record_consent(
        Event.CONSENT_REPLACED,
        actor=actor,
        consent=replaced,
        scopes=replaced.granted_scopes,
        metadata={"replacedBy": replacement.id, "requestedScopes": replaced.requested_scopes},
        at=now,
    )


def _lock_live_consent(consent: Consent, user: User, now: datetime) -> Consent | None:
    """Return the live consent of the connection, locked. None when there is none.

    One whose time has run out before the sweep came by is marked as expired here: it must not be revived.
    """
    approved = approved_consents(user, consent).exclude(pk=consent.pk)
    live = approved.select_for_update(of=("self",), no_key=True).first()
    if live is None or live.expires_at > now:
        return live
    Consent.objects.filter(pk=live.pk).update(status=Consent.Status.EXPIRED)
    record_consent(Event.CONSENT_EXPIRED, actor=SYSTEM, consent=live, at=now)
    return None


def _granted(consent: Consent, live: Consent | None, choice: Choice) -> list[str]:
    """Return the chosen scopes, those requested first. Raises `ConnectionChanged`, `InvalidScope`."""
    requested, held = consent.requested_scopes, live.live_scopes() if live else []
    named = list(requested) if choice.scopes is None else list(choice.scopes)
    if not named:
        raise InvalidScope("Grant at least one scope, or deny the request.")
    choosable = list(dict.fromkeys([*requested, *held]))
    beyond = [scope for scope in dict.fromkeys(named) if scope not in choosable]
    if live and choice.shown_id and any(scope in live.granted_scopes for scope in beyond):
        raise ConnectionChanged(f"The developer has taken {', '.join(beyond)} from the agent.")
    if beyond:
        raise InvalidScope(f"{', '.join(beyond)}: neither requested nor allowed to this agent now.")
    kept = [] if choice.is_whole else [scope for scope in held if scope not in requested]
    return [scope for scope in choosable if scope in named or scope in kept]
