"""What a policy that only records has found since the last change of what it decides."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from agents.selectors import agents_known_to
from audit.events import Event
from audit.selectors import Filters, describe_for_organization, entries_for_organization
from policies.engine import Outcome
from policies.models import Policy
from policies.rules import sentences
from policies.versions import deciding_since
from web.names import names_by_id

# At most so many entries are read. Older ones are not counted.
MOST = 500


@dataclass(frozen=True, slots=True)
class Row:
    """How often one rule would have stopped an agent, and whether it would have denied or asked."""

    sentence: str
    agent: str
    is_denied: bool
    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The calls that the policy would have stopped since then. With `is_cut`, there are more than `number`."""

    since: datetime
    number: int
    is_cut: bool
    rows: Sequence[Row]
    url: str


def find_findings(policy: Policy) -> Findings:
    """Return the findings, the most frequent first. Reads at most `MOST` entries of the log."""
    since = deciding_since(policy)
    filters = Filters(event=Event.POLICY_SHADOWED, policy_id=policy.id, since=since)
    entries, cursor = entries_for_organization(policy.organization_id, filters).page("", MOST)
    described = describe_for_organization(entries, policy.organization_id)
    return Findings(
        since=since,
        number=len(entries),
        is_cut=bool(cursor),
        rows=_rows(policy, since, described),
        url=_log_url(policy, since),
    )


def _rows(policy: Policy, since: datetime, described: Iterable[Mapping[str, Any]]) -> list[Row]:
    counted = Counter(
        (one["metadata"].get("ruleIndex"), one["agentId"], one["metadata"].get("wouldBe")) for one in described
    )
    agents = agents_known_to(policy.organization_id)
    names = names_by_id((agents, (agent_id for _index, agent_id, _would_be in counted)))
    rules = sentences(policy.rules)
    return [
        Row(
            sentence=rules[index] if isinstance(index, int) and index < len(rules) else _("An earlier rule"),
            agent=names.get(agent_id, agent_id) or _("Unknown"),
            is_denied=would_be == Outcome.DENIED,
            number=number,
            url=_log_url(policy, since, agent=agent_id),
        )
        for (index, agent_id, would_be), number in counted.most_common()
    ]


def _log_url(policy: Policy, since: datetime, **more: str | None) -> str:
    """Return the address of the log with exactly these entries."""
    wanted = {"event": Event.POLICY_SHADOWED.value, "policy": policy.id, "from": since.isoformat(), **more}
    return f"{reverse('web:logs')}?{urlencode({name: text for name, text in wanted.items() if text})}"
