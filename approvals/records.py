"""Log entries about approvals."""

from collections.abc import Sequence
from typing import Any

from agents.models import Agent
from approvals.models import Approval
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from core.actor import SYSTEM, Actor
from core.chains import Link
from core.money import read_amount

# The personal data in the sentence about a request.
NAMED = ("verb", "recipient", "target", "amount")
MAX_NAMED_LENGTH = 200


def draft_approval(event: Event, *, actor: Actor, approval: Approval, **fields: Any) -> Draft:
    """Draft the log entry of an approval's event for its user and the organizations that the request concerned."""
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
        chain=_links_of(approval),
        **{"resource": approval.resource or None, "personal": said_in(approval), **fields},
    )


def _links_of(approval: Approval) -> Sequence[Link]:
    """Return the chain of the request with the organizations of its agents."""
    if not approval.chain:
        return ()
    owners = dict(Agent.objects.filter(pk__in=approval.chain_agents).values_list("pk", "organization_id"))
    return [Link(agent, delegation, owners.get(agent)) for agent, delegation in approval.chain]


def said_in(approval: Approval) -> dict[str, Any]:
    """Return what a sentence says about the request, as personal data. The amount of a rule is a ceiling."""
    said = {name: approval.context[name] for name in NAMED if approval.context.get(name)}
    short = {name: value for name, value in said.items() if isinstance(value, str) and len(value) <= MAX_NAMED_LENGTH}
    amount = None if approval.is_rule else read_amount(said.get("amount"))
    return {"context": {**short, **({"amount": amount._asdict()} if amount else {})}} if short or amount else {}


def draft_expiry(approval: Approval) -> Draft:
    return draft_approval(Event.APPROVAL_EXPIRED, actor=SYSTEM, approval=approval, outcome=Outcome.DENIED)
