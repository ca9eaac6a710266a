"""A connection: everything that a user allows an agent, for any service. At most one of its consents is live.

Approving a later request replaces the live consent. A database constraint enforces that only one is live. Approvals and
revocations lock the user's row first, so they run one after another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_noop

from accounts.models import User
from audit.entries.drafts import Draft
from audit.events import Event
from consent.counts import last_terms, plan_counts
from consent.delegation import NONE, is_wider, settle_delegation
from consent.errors import ConnectionChanged, TooManyScopes
from consent.models import Consent
from consent.records import draft_consent
from consent.selectors import (
    agreed_scopes,
    approved_consents,
    carried_scopes,
    connection_state,
    reworded_scopes,
)
from consent.shown_services import with_earlier_services
from consent.targets import Pick, pick_targets
from consent.terms import NOTHING_SAID, GivenTerms, Terms, always_asking, is_widened, settle_terms
from core.actor import Actor
from core.errors import FieldError
from core.wording import Filled
from resources.catalogue import Scope, catalogue, read_snapshot, snapshot
from resources.errors import InvalidScope

CONSENT_LIFETIME = timedelta(days=30)

# Of a request, and of all that a user allows an agent: as many as the agent can have. The log keeps the texts of all.
MAX_SCOPES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The scopes and targets that the user chose.

    By default, `scopes` are the requested scopes to grant (None for all), and live scopes that were not requested stay.
    With `is_whole`, `scopes` are the whole connection, and all others are removed.

    `targets` are the user's picks among the requested authorization details, or None for all of them.

    `shown_state` is the `connection_state` that the user was shown with the request, "" if the agent was not connected,
    or None if no page was shown.

    Live scopes keep their terms, except for what `terms` says, so that only an explicit choice widens one. `lifetime`
    is how long the whole connection lasts, or None if it ends when it would have ended before. `delegation` says to
    which agents it may hand work, or is None if that stays (`consent.delegation`).
    """

    scopes: Sequence[str] | None = None
    is_whole: bool = False
    targets: Sequence[Pick] | None = None
    shown_state: str | None = None
    terms: GivenTerms = NOTHING_SAID
    lifetime: timedelta | None = CONSENT_LIFETIME
    delegation: str | None = None


ALL_REQUESTED = Choice()


@dataclass(frozen=True, slots=True)
class Change:
    """What an approval changes about a connection: the scopes granted after it, and the consent it replaces, if any.
    `choosable` are the scopes on the screen. `shown` has their texts, and those of requested scopes that the agent has
    lost. `services` are those of the request, then those of the connection. `reworded` scopes were live with other
    texts than those that the request shows. `expired` is a consent that had expired before, and is marked now.
    """

    granted: list[str]
    choosable: list[str]
    shown: list[dict[str, Any]]
    services: list[dict[str, Any]]
    reworded: list[str]
    replaced: Consent | None
    expired: Consent | None
    terms: Terms
    expires_at: datetime
    delegation: str
    carry: Callable[[], None] | None
    """What fills the counters of limits that the terms add (`consent.counts`)."""

    @property
    def ends_another(self) -> bool:
        """Return whether decisions in progress may still use a consent that this change ends."""
        return self.replaced is not None or self.expired is not None

    @property
    def wider(self) -> list[str]:
        """Return the granted scopes that were not live before in these words, or that are bounded less than before.

        If the agent may hand work to more agents than before, these are all: any of them can be handed on.
        """
        before = self.replaced.live_scopes() if self.replaced else []
        earlier = self._earlier_terms
        return [
            scope
            for scope in self.granted
            if scope not in before
            or scope in self.reworded
            or self.is_handed_wider
            or is_widened(earlier, self.terms, scope)
        ]

    @property
    def is_handed_wider(self) -> bool:
        """Return whether the agent may hand work to more agents than before."""
        return is_wider(self.delegation, self._earlier_delegation)

    @property
    def is_longer(self) -> bool:
        """Return whether a connection ends later than before."""
        return self.replaced is not None and self.expires_at > self.replaced.expires_at

    @property
    def needs_recent_sign_in(self) -> bool:
        """Return whether a critical scope is granted or widened. A later end of the connection widens it, too.

        Scopes that were critical before count.
        """
        critical = critical_among(self.granted, self.shown).union(self._earlier_terms.of(self.granted).critical)
        return bool(critical if self.is_longer else critical.intersection(self.wider))

    @property
    def _earlier_terms(self) -> Terms:
        return Terms.read(self.replaced.terms) if self.replaced else Terms()

    @property
    def _earlier_delegation(self) -> str:
        return self.replaced.delegation if self.replaced else NONE

    def describe(self, requested: Sequence[str]) -> dict[str, Any]:
        """Return the change for the log.

        The user removed the `removed` scopes; the developer had already removed the `withdrawn` ones from the agent.
        `endedScopes` has both, with the texts that the user agreed to.
        """
        replaced = self.replaced
        before = replaced.live_scopes() if replaced else []
        ended = [scope for scope in agreed_scopes(replaced) if scope.id not in self.granted] if replaced else []
        again = [scope for scope in self.granted if scope in before]
        return {
            "added": [scope for scope in self.granted if scope not in before],
            "kept": [scope for scope in again if scope not in self.reworded],
            "reworded": [scope for scope in again if scope in self.reworded],
            "removed": [scope.id for scope in ended if scope.id in before],
            "withdrawn": [scope.id for scope in ended if scope.id not in before],
            "endedScopes": snapshot(ended),
            "isLonger": self.is_longer,
            "notGranted": [scope for scope in requested if scope not in self.granted],
            "shownScopes": [one for one in self.shown if one["id"] in self.choosable],
            "shownServices": self.services,
            "replacedConsentId": replaced.id if replaced else None,
            "requestedScopes": list(requested),
            **self.terms.outline(),
            **self._describe_delegation(),
        }

    def _describe_delegation(self) -> dict[str, Any]:
        before, after = self._earlier_delegation, self.delegation
        return {} if before == after == NONE else {"delegation": {"before": before, "after": after}}


def plan_change(consent: Consent, user: User, choice: Choice, now: datetime) -> Change:
    """Lock the user's connection and return what approving `consent` would change.

    Danger: lock the user's row first (`hold_account`), so that two approvals do not overlap. Raises
    `ConnectionChanged` if the connection has changed since it was shown, `InvalidScope`, and `Invalid` for targets.
    """
    live, expired = _lock_live_consent(consent, user, now)
    if choice.shown_state is not None and choice.shown_state != connection_state(live):
        raise ConnectionChanged(gettext_noop("Check what the agent may do now, then decide again."))
    held = live.live_scopes() if live else []
    granted = _granted(consent, live, choice)
    shown = [*consent.shown_scopes, *snapshot(carried_scopes(consent, live))]
    before = Terms.read(live.terms) if live else last_terms(consent, user)
    terms = settle_terms(
        earlier=before.of(held) if live else Terms(),
        given=choice.terms,
        granted=granted,
        critical=critical_among(granted, shown),
        targets=pick_targets(consent.authorization_details, choice.targets, granted),
        labels=labels_of(granted, shown),
        editions=editions_of(granted, shown),
    )
    counted = plan_counts(consent.agent_id, user.id, before, terms, now)
    return Change(
        granted=granted,
        choosable=list(dict.fromkeys([*consent.askable_scopes(), *held])),
        shown=shown,
        services=with_earlier_services(consent, live),
        reworded=reworded_scopes(consent, live),
        replaced=live,
        expired=expired,
        terms=counted.terms,
        expires_at=end_of(choice, live, now),
        delegation=settle_delegation(consent, live, choice.delegation, granted),
        carry=counted.carry,
    )


def end_of(choice: Choice, live: Consent | None, now: datetime) -> datetime:
    """Return when the connection ends if it is granted now. `live` is the consent that is replaced, if any."""
    if choice.lifetime is not None:
        return now + choice.lifetime
    return live.expires_at if live else now + CONSENT_LIFETIME


def critical_among(granted: Sequence[str], shown: Sequence[dict[str, Any]]) -> set[str]:
    """Return the granted scopes that always ask, in the words that the user saw."""
    return always_asking(scope for scope in read_snapshot(shown) if scope.id in granted)


def labels_of(granted: Sequence[str], shown: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the labels of granted scopes that the user saw. Those of the catalogue's scopes cannot change."""
    return {scope.id: sorted(scope.labels) for scope in _own(granted, shown) if scope.labels}


def editions_of(granted: Sequence[str], shown: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return which editions of granted scopes that cover actions the user saw. Those of the catalogue have none."""
    return {scope.id: scope.edition for scope in _own(granted, shown) if scope.covers}


def _own(granted: Sequence[str], shown: Sequence[dict[str, Any]]) -> list[Scope]:
    return [scope for scope in read_snapshot(shown) if scope.id in granted and scope.id not in catalogue()]


def replace_consent(
    *, actor: Actor, replaced: Consent, replacement: Consent, granted: Sequence[str], now: datetime
) -> Draft:
    """Mark a live consent as replaced, and point the consents that it had replaced to the replacement.

    The replacement has the scopes `granted`. Return the entry for the log.
    """
    latest = Q(pk=replaced.pk)
    Consent.objects.filter(latest | Q(replaced_by=replaced)).update(
        status=Case(When(latest, then=Value(Consent.Status.REPLACED)), default=F("status")),
        replaced_at=Case(When(latest, then=Value(now)), default=F("replaced_at")),
        replaced_by=replacement,
    )
    return draft_consent(
        Event.CONSENT_REPLACED,
        actor=actor,
        consent=replaced,
        scopes=replaced.granted_scopes,
        metadata={
            "replacedBy": replacement.id,
            "requestedScopes": replaced.requested_scopes,
            "removed": [scope for scope in replaced.granted_scopes if scope not in granted],
        },
    )


def _lock_live_consent(consent: Consent, user: User, now: datetime) -> tuple[Consent | None, Consent | None]:
    """Lock and return the live consent of the connection, if any, and one that had expired, if any.

    If it has expired but the sweep has not marked it yet, mark it here, because it must not be extended.
    """
    approved = approved_consents(user, consent).exclude(pk=consent.pk)
    live = approved.select_for_update(of=("self",), no_key=True).first()
    if live is None or live.expires_at > now:
        return live, None
    Consent.objects.filter(pk=live.pk).update(status=Consent.Status.EXPIRED)
    return None, live


def _granted(consent: Consent, live: Consent | None, choice: Choice) -> list[str]:
    """Return the scopes to grant, requested ones first. Raises `ConnectionChanged`, `InvalidScope`, `TooManyScopes`."""
    askable, held = consent.askable_scopes(), live.live_scopes() if live else []
    named = askable if choice.scopes is None else list(choice.scopes)
    if not named:
        raise InvalidScope(gettext_noop("Allow at least one scope, or deny the request."))
    choosable = list(dict.fromkeys([*askable, *held]))
    _require_choosable(consent, live, choice, [scope for scope in dict.fromkeys(named) if scope not in choosable])
    kept = [] if choice.is_whole else [scope for scope in held if scope not in askable]
    granted = [scope for scope in choosable if scope in named or scope in kept]
    if len(granted) > MAX_SCOPES:
        text = gettext_noop("An agent can be allowed at most %(most)d scopes. Allow fewer, or remove others first.")
        message = Filled(text, most=MAX_SCOPES)
        raise TooManyScopes(message, errors=(FieldError("scopes", message),))
    return granted


def _require_choosable(consent: Consent, live: Consent | None, choice: Choice, unavailable: Sequence[str]) -> None:
    """Raise `ConnectionChanged` for scopes that a page may still show, or `InvalidScope` for others."""
    if not unavailable:
        return
    names = ", ".join(unavailable)
    withdrawn = [*consent.requested_scopes, *(live.granted_scopes if live else ())]
    if any(scope not in withdrawn for scope in unavailable):
        raise InvalidScope(Filled(gettext_noop("Neither requested nor already allowed: %(scopes)s."), scopes=names))
    refusal = InvalidScope if choice.shown_state is None else ConnectionChanged
    raise refusal(
        Filled(gettext_noop("The developer has removed these scopes from the agent: %(scopes)s."), scopes=names)
    )
