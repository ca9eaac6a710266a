"""Log entries about consents and approvals."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from consent.models import Approval, Consent
from consent.terms import Terms
from core.actor import SYSTEM, Actor
from core.money import read_amount
from resources.audiences import organizations_of_services

# What a sentence says about a request.
NAMED = ("verb", "recipient", "target", "amount")
MAX_NAMED_LENGTH = 200
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


def draft_approval(event: Event, *, actor: Actor, approval: Approval, **fields: Any) -> Draft:
    """Describe an event of an approval to the organizations that its request concerned, and to its user."""
    metadata = {"approvalId": approval.id, **fields.pop("metadata", {})}
    return Draft(
        event=event,
        actor=actor,
        organization_id=approval.organization_id,
        service_organization_ids=[one for one in (approval.service_organization_id,) if one],
        user_id=approval.user_id,
        agent_id=approval.agent_id,
        consent_id=approval.consent_id,
        action=approval.action or None,
        scopes=approval.scopes,
        metadata=metadata,
        **{"resource": approval.resource or None, "personal": said_in(approval), **fields},
    )


def said_in(approval: Approval) -> dict[str, Any]:
    """Return what a sentence says about the request, as personal data. The amount of a rule is a ceiling."""
    said = {name: approval.context[name] for name in NAMED if approval.context.get(name)}
    short = {name: value for name, value in said.items() if isinstance(value, str) and len(value) <= MAX_NAMED_LENGTH}
    amount = None if approval.is_rule else read_amount(said.get("amount"))
    return {"context": {**short, **({"amount": amount._asdict()} if amount else {})}} if short or amount else {}


def draft_expiry(approval: Approval) -> Draft:
    return draft_approval(Event.APPROVAL_EXPIRED, actor=SYSTEM, approval=approval, outcome=Outcome.DENIED)


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
    return [*first, *(organization.id for organization in organizations_of_services(owners))]
