"""Log entries about consents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import append
from consent.models import Consent
from consent.terms import Terms
from core.actor import Actor
from resources.audiences import services_of

# A service learns what it may no longer do from its next verify, not how the user bounds the whole connection.
NOT_FOR_SERVICES = frozenset(
    {Event.CONSENT_REQUESTED, Event.CONSENT_DENIED, Event.CONSENT_EXPIRED, Event.CONSENT_NARROWED}
)


def record_consent(event: Event, *, actor: Actor, consent: Consent, at: datetime, **fields: Any) -> None:
    """Log an event of a consent."""
    append([draft_consent(event, actor=actor, consent=consent, **fields)], at=at)


def draft_consent(event: Event, *, actor: Actor, consent: Consent, **fields: Any) -> Draft:
    return Draft(
        event=event,
        actor=actor,
        organization_id=consent.agent.organization_id,
        service_organization_ids=_services_affected(event, consent),
        user_id=consent.user_id,
        agent_id=consent.agent_id,
        consent_id=consent.id,
        **fields,
    )


def personal_terms(**stages: Terms) -> dict[str, Any]:
    """Return the limits and targets of each stage, by its name, as personal data: they can name people and amounts."""
    named = {name: {"limits": terms.limits, "targets": terms.targets} for name, terms in stages.items()}
    return {name: parts for name, parts in named.items() if any(parts.values())}


def details_for_log(details: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the personal data of an entry with these authorization details, because they can name accounts."""
    return {"authorizationDetails": list(details)} if details else {}


def _services_affected(event: Event, consent: Consent) -> list[str]:
    """Return the organizations whose services the event affects.

    Anyone can request access to any service, so events without a grant are logged only for the agent's organization,
    or, as a stock client has none, for that of the first service it requested. So are those that are about the terms.
    """
    first = [consent.organization_id] if consent.agent.is_stock and consent.organization_id else []
    if event in NOT_FOR_SERVICES:
        return first
    owners = set(consent.resource_owners.items())
    if event is Event.CONSENT_REVOKED:
        # It ends the whole connection, including the services of earlier requests.
        earlier = Consent.objects.filter(replaced_by=consent).values_list("resource_owners", flat=True)
        owners.update(pair for each in earlier for pair in each.items())
    return [*first, *(service.organization_id for service in services_of(owners))]
