"""How many calls a policy has stopped, or would have stopped, with the log entries behind each number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from audit.events import Event, Outcome
from audit.readers.snapshot import take_snapshot
from audit.selectors import Filters, count_for_organization
from core import clock
from policies.models import Policy
from policies.versions import deciding_since
from web.requests.portal import portal_url

STOPPED_DAYS = 7


class Count(NamedTuple):
    """A number, and the URL of the entries behind it."""

    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """The calls of the organization since `since`, and how many a policy that only records would have stopped."""

    since: datetime
    stopped: Count
    calls: Count


def count_stopped(policy: Policy) -> Count:
    """Return the number of calls that the policy has denied, or asked users about, in the last days."""
    since = clock.now() - timedelta(days=STOPPED_DAYS)
    wanted = Filters(event=Event.TOKEN_VERIFY, outcome=Outcome.DENIED, policy_id=policy.id, since=since)
    return _counts(policy, [wanted])[0]


def count_recorded(policy: Policy) -> Recorded:
    """Return what the policy would have stopped since the last change that affects its decisions."""
    since = deciding_since(policy)
    recorded = Filters(event=Event.POLICY_SHADOWED, policy_id=policy.id, since=since)
    return Recorded(since, *_counts(policy, [recorded, Filters(event=Event.TOKEN_VERIFY, since=since)]))


def _counts(policy: Policy, wanted: Sequence[Filters]) -> list[Count]:
    log = take_snapshot()
    return [
        Count(count_for_organization(log, policy.organization_id, one), _url(policy.organization_id, one))
        for one in wanted
    ]


def _url(organization_id: str, filters: Filters) -> str:
    """Return the URL of the log that shows exactly these entries."""
    since = filters.since.isoformat() if filters.since else None
    query = {"event": filters.event, "from": since, "policy": filters.policy_id, "outcome": filters.outcome}
    return portal_url(organization_id, "logs", query={name: text for name, text in query.items() if text})
