"""What became of requests for consent, as the entries of their steps say it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from audit.events import Event

EVENTS = frozenset({Event.CONSENT_REQUESTED, Event.CONSENT_APPROVED, Event.CONSENT_DENIED, Event.CONSENT_EXPIRED})


class Step(StrEnum):
    """A step of a request for consent. `PARTLY` is allowed without some of the scopes."""

    ASKED = "asked"
    ALLOWED = "allowed"
    PARTLY = "partly"
    DENIED = "denied"
    ABANDONED = "abandoned"


class RequestStep(NamedTuple):
    """A step of a request of the organization, and the scopes that the user left out."""

    organization_id: str
    step: Step
    declined: Sequence[str]


def find_step(content: Mapping[str, Any], organization_ids: Sequence[str]) -> RequestStep | None:
    """Return the step that an entry of one of `EVENTS` records, given its record or the content of its draft.

    None if it is the end of a grant and not of a request, or if no single organization has asked.
    """
    step, owner = _step_of(content), _owner(content, organization_ids)
    if step is None or owner is None:
        return None
    declined = content["metadata"]["notGranted"] if step is Step.PARTLY else ()
    return RequestStep(owner, step, tuple(dict.fromkeys(declined)))


def _owner(content: Mapping[str, Any], organization_ids: Sequence[str]) -> str | None:
    """Return the organization of the agent: only it sees what users answer to its requests.

    A stock client has none, so the organization of the service that it asked for sees them. Of several, none does: the
    request is in the log of one of them, and the grant in the logs of all.
    """
    own: str | None = content["organizationId"]
    return own or (organization_ids[0] if len(organization_ids) == 1 else None)


def _step_of(content: Mapping[str, Any]) -> Step | None:
    """Return the step, or None if it is the end of a grant and not of a request."""
    event = content["event"]
    if event == Event.CONSENT_APPROVED:
        return Step.PARTLY if content["metadata"].get("notGranted") else Step.ALLOWED
    if event == Event.CONSENT_EXPIRED:
        # Only an answer sets the user, so a request that expires has none.
        return None if content["userId"] else Step.ABANDONED
    return Step.ASKED if event == Event.CONSENT_REQUESTED else Step.DENIED
