"""Narrow a connection: at any time, without a new consent. Only a new consent can widen one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.services import lock_user
from audit.events import Event
from consent.codes import move_codes
from consent.counts import plan_counts
from consent.delegation import NONE, narrow_delegation
from consent.errors import ConsentAlreadyDecided, WouldWiden
from consent.models import Consent
from consent.records import personal_terms, record_consent
from consent.selectors import agreed_scopes, latest_of
from consent.signals import consent_narrowed
from consent.statuses import in_words
from consent.targets import Pick, narrow_targets
from consent.terms import NOTHING_SAID, GivenTerms, Terms, settle_terms
from consent.tightening import require_tighter
from core import clock
from core.actor import Actor
from core.errors import FieldError, Invalid
from core.locks import after_decisions, revocation
from core.wording import Filled
from resources.catalogue import snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What the user takes back. What it does not mention stays. `lifetime` is from now on.

    `targets` are what is left of the details that they name.
    """

    terms: GivenTerms = NOTHING_SAID
    targets: Sequence[Pick] = ()
    remove_scopes: Sequence[str] = ()
    lifetime: timedelta | None = None
    delegation: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What a user allows an agent, until when, and to which agents it may hand work."""

    scopes: list[str]
    terms: Terms
    expires_at: datetime
    delegation: str

    def describe(self) -> dict[str, Any]:
        """Return the state for the log."""
        delegation = {} if self.delegation == NONE else {"delegation": self.delegation}
        end = clock.rfc3339(self.expires_at)
        return {"scopes": self.scopes, "expiresAt": end, **self.terms.outline(), **delegation}


def narrow_consent(*, actor: Actor, user: User, consent: Consent, narrowing: Narrowing) -> Consent:
    """Narrow the user's consent, or its replacement if it was replaced, and return the updated one.

    No verify that starts after this returns uses the earlier terms. What is narrow enough already changes nothing.
    Raises `ConsentAlreadyDecided` if the consent is not in force, `Invalid`, and `WouldWiden`, which names the field.
    """
    with revocation():
        # As in an approval: accounts, then consents, codes and families, and last the lock of the revocation.
        lock_user(user.pk)
        consent = _lock_latest(consent)
        now = clock.now()
        if consent.status_at(now) != Consent.Status.APPROVED:
            status = in_words(consent.status_at(now))
            raise ConsentAlreadyDecided(
                Filled(gettext_noop("The consent is %(status)s, so it cannot be changed."), status=status)
            )
        before = State(consent.granted_scopes, Terms.read(consent.terms), consent.expires_at, consent.delegation)
        after = _narrowed(before, narrowing, now)
        if after != before:
            _save(actor, consent, before, after, now)
    return consent


def _lock_latest(consent: Consent) -> Consent:
    rows = Consent.objects.select_related("agent__organization").select_for_update(of=("self",), no_key=True)
    locked: Consent = rows.get(pk=latest_of(consent).pk)
    return locked


def _narrowed(before: State, narrowing: Narrowing, now: datetime) -> State:
    """Return the state afterwards. Raises `Invalid`, `WouldWiden`."""
    scopes = _without(before.scopes, narrowing.remove_scopes)
    targets = narrow_targets(before.terms.targets, narrowing.targets, scopes)
    terms = settle_terms(earlier=before.terms, given=narrowing.terms, granted=scopes, targets=targets)
    require_tighter(before.terms.of(scopes), terms, narrowing.terms)
    expires_at = before.expires_at if narrowing.lifetime is None else now + narrowing.lifetime
    if expires_at > before.expires_at:
        end = clock.rfc3339(before.expires_at)
        raise WouldWiden.field("expiresInSeconds", Filled(gettext_noop("Must not be after %(end)s."), end=end))
    delegation = narrow_delegation(before.delegation, narrowing.delegation, narrowing.remove_scopes)
    return State(scopes, terms, expires_at, delegation)


def _without(scopes: Sequence[str], removed: Sequence[str]) -> list[str]:
    unknown = [index for index, scope in enumerate(removed) if scope not in scopes]
    if unknown:
        errors = tuple(
            FieldError(f"removeScopes.{index}", gettext_noop("This scope is not granted.")) for index in unknown
        )
        raise Invalid(errors[0].message, errors=errors)
    kept = [scope for scope in scopes if scope not in removed]
    if not kept:
        raise Invalid.field("removeScopes", gettext_noop("Keep at least one scope, or revoke the consent."))
    return kept


def _save(actor: Actor, consent: Consent, before: State, after: State, now: datetime) -> None:
    """Store the state, take removed scopes from codes and tokens, and log the change."""
    counted = plan_counts(consent.agent_id, str(consent.user_id), before.terms, after.terms, now)
    agreed = agreed_scopes(consent)
    changes = {"granted_scopes": after.scopes, "terms": counted.terms.stored(), "expires_at": after.expires_at}
    _update(consent, {**changes, "delegation": after.delegation})
    ended = [scope for scope in agreed if scope.id not in after.scopes]
    removed = [scope for scope in before.scopes if scope not in after.scopes]
    if removed:
        # Codes before families, as when a consent is replaced.
        move_codes(source=consent, target=consent, now=now)
    consent_narrowed.send(sender=Consent, consent=consent, before=before.terms, removed=removed, actor=actor, now=now)
    if counted.carry:
        after_decisions(counted.carry)
    record_consent(
        Event.CONSENT_NARROWED,
        actor=actor,
        consent=consent,
        scopes=after.scopes,
        metadata={
            "before": before.describe(),
            "after": after.describe(),
            "removed": removed,
            "endedScopes": snapshot(ended),
        },
        personal=personal_terms(before=before.terms, after=after.terms),
        at=now,
    )


def _update(consent: Consent, changes: Mapping[str, Any]) -> None:
    Consent.objects.filter(pk=consent.pk).update(**changes)
    for name, value in changes.items():
        setattr(consent, name, value)
