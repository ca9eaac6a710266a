"""What a policy that only records has found since the last change of what it decides."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agents.selectors import agents_known_to
from audit.events import Event
from audit.events import Outcome as LogOutcome
from audit.readers.snapshot import Snapshot, take_snapshot
from audit.selectors import Filters, count_for_organization, describe_for_organization, newest_and_count
from core import clock
from decisions.whatif.replaying import Change
from policies.engine import Outcome
from policies.models import Policy
from policies.rules import sentences
from policies.versions import deciding_since
from web.portal.policies.shares import Count, in_numbers, log_url, share
from web.wording.names import names_by_id

# So many entries are read, the newest.
MOST = 500
STOPPED_DAYS = 7
CHANGES = {Outcome.DENIED: Change.NEWLY_DENIED, Outcome.ASKED: Change.NEWLY_ASKED}


class Place(NamedTuple):
    """A rule by its index, an agent by its id, and whether the rule would have "denied" or "asked".

    In a place that is wanted, an empty text stands for any.
    """

    rule: str = ""
    agent: str = ""
    would: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Self:
        metadata = entry["metadata"]
        return cls(str(metadata.get("ruleIndex", "")), entry["agentId"] or "", metadata.get("wouldBe", ""))

    @classmethod
    def wanted(cls, query: QueryDict) -> Self:
        return cls(*(query.get(name, "") for name in cls._fields))

    def has(self, other: "Place") -> bool:
        return all(mine in ("", its) for mine, its in zip(self, other, strict=True))


@dataclass(frozen=True, slots=True)
class Row:
    """How often one rule would have stopped an agent, and whether it would have denied or asked."""

    place: Place
    sentence: str
    agent: str
    count: Count

    @property
    def is_denied(self) -> bool:
        return self.place.would == Outcome.DENIED


@dataclass(frozen=True, slots=True)
class Share:
    """How many of all calls the policy would have stopped, in words, and the URL of these."""

    sentence: str
    url: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What the policy would have stopped since then. `calls` are all calls of the organization.

    `listed` is the sum of the rows. With `is_cut`, these have only the newest, and the shares do not tell what would
    have been denied from what the user would have been asked about.
    """

    since: datetime
    calls: Count
    shares: Sequence[Share]
    rows: Sequence[Row]
    listed: int
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """The newest entries of the policy since then, as its organization may read them, and how many there are in all."""

    policy: Policy
    since: datetime
    entries: Sequence[dict[str, Any]]
    number: int

    @property
    def is_cut(self) -> bool:
        """Whether there are more entries than these."""
        return self.number > len(self.entries)

    def at(self, wanted: Place) -> list[dict[str, Any]]:
        """Return the entries of the place, newest first."""
        return [one for one in self.entries if wanted.has(Place.of(one))]


def read_recorded(policy: Policy, log: Snapshot | None = None) -> Recorded:
    """Read at most `MOST` entries of the log."""
    since, organization_id = deciding_since(policy), policy.organization_id
    wanted = _filters(policy, since)
    entries, number = newest_and_count(log or take_snapshot(), organization_id, wanted, MOST)
    described = describe_for_organization(entries, organization_id)
    dated = [{**content, "at": entry.timestamp} for content, entry in zip(described, entries, strict=True)]
    return Recorded(policy, since, dated, number)


def find_findings(policy: Policy) -> Findings:
    """Return the findings, the most frequent first."""
    log = take_snapshot()
    recorded = read_recorded(policy, log)
    since = recorded.since
    calls = count_for_organization(log, policy.organization_id, Filters(event=Event.TOKEN_VERIFY, since=since))
    return Findings(
        since=since,
        calls=Count(calls, log_url(Event.TOKEN_VERIFY, since)),
        shares=[_all(recorded, calls)] if recorded.is_cut else list(_shares(recorded, calls)),
        rows=describe_rows(recorded),
        listed=len(recorded.entries),
        is_cut=recorded.is_cut,
    )


def count_stopped(policy: Policy) -> Count:
    """Return how many calls the policy has denied, or asked users about, in the last days."""
    since = clock.now() - timedelta(days=STOPPED_DAYS)
    denied = Filters(event=Event.TOKEN_VERIFY, outcome=LogOutcome.DENIED, policy_id=policy.id, since=since)
    number = count_for_organization(take_snapshot(), policy.organization_id, denied)
    return Count(number, log_url(Event.TOKEN_VERIFY, since, policy=policy.id, outcome=LogOutcome.DENIED))


def _filters(policy: Policy, since: datetime) -> Filters:
    return Filters(event=Event.POLICY_SHADOWED, policy_id=policy.id, since=since)


def _all(recorded: Recorded, calls: int) -> Share:
    sentence = ngettext(
        "Would have stopped %(number)s of %(total)s call", "Would have stopped %(number)s of %(total)s calls", calls
    )
    url = log_url(Event.POLICY_SHADOWED, recorded.since, policy=recorded.policy.id)
    return Share(sentence % in_numbers(recorded.number, calls), url)


def _shares(recorded: Recorded, calls: int) -> Iterator[Share]:
    """Yield how many would have been denied and, if there are any, how many users would have been asked about."""
    for outcome, change in CHANGES.items():
        place = Place(would=outcome)
        number = len(recorded.at(place))
        if number or outcome is Outcome.DENIED:
            yield Share(share(change, number, calls), _url(recorded, place) if number else "")


def describe_rows(recorded: Recorded) -> list[Row]:
    """Return how often each rule would have stopped each agent, the most frequent first."""
    places = Counter(map(Place.of, recorded.entries))
    agents = agents_known_to(recorded.policy.organization_id)
    names = names_by_id((agents, (place.agent for place in places)))
    rules = {str(index): sentence for index, sentence in enumerate(sentences(recorded.policy.rules))}
    return [
        Row(
            place=place,
            sentence=rules.get(place.rule, _("An earlier rule")),
            agent=names.get(place.agent, place.agent) or _("Unknown"),
            count=Count(number, _url(recorded, place)),
        )
        for place, number in places.most_common()
    ]


def _url(recorded: Recorded, place: Place) -> str:
    query = urlencode({name: value for name, value in place._asdict().items() if value})
    return f"{reverse('web:policy-findings', args=[recorded.policy.id])}?{query}"
