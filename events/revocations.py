"""Revocations: what ended, for services that check tokens offline.

They are computed from the log and the journal when a service asks, so an answer has all that was committed before.
Each reason for which verify denies what it allowed before has an entry:

| verify says | after | item |
|---|---|---|
| `token_revoked` | a token was revoked or used twice, an account erased or reclaimed, a domain proved | family |
| `consent_revoked`, `consent_expired` | it was revoked or expired; its new end is before that of its tokens | consent |
| `consent_paused` | the user paused the agent; all agents | consent; user |
| `insufficient_scope` | the user took a scope back; the developer took it from the agent | scope |
| `agent_suspended` | its developer suspended or deleted it, an administrator stopped it | agent |
| `organization_suspended`, `organization_stopped` | it was suspended, stopped, or is being deleted | organization |
| `user_inactive` | the account was deactivated or erased | user |
| `delegation_ended` | a delegation was ended | delegation |
| | an organization that received work because it was verified no longer is | organization |
| | what ended above: an agent's token, the agent, its organization | family, agent, organization |
| `service_suspended` | everything was stopped: the answer is 503; the service's organization was suspended: 403 | |
| `token_expired`, `wrong_audience` | the token says so itself | |

An item ends the tokens of before: what is allowed again later is for new tokens. Tokens that are issued while the agent
is paused say so (`tokens.access_tokens`). A new event that ends something needs a row here and in `ITEMS`.

A token of an agent to which work was handed on names the agents above, their families and their organizations, so that
the items about these end it, too.

An entry has the time of the act, before its commit. Until the commit, which can wait for locks, tokens are issued. So
the time of an item is that of the first checkpoint with the entry, or of the answer if there is none yet.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from audit.entries.drafts import CONNECTION, Prepared
from audit.events import Event
from audit.readers.in_order import InOrder
from audit.readers.waiting import waiting_entries
from audit.selectors import newest_events, signed_at
from core import clock
from events.waiting import About, Confirm, News, Watch
from resources.models import ResourceServer
from tokens import reach

# Of one answer. An entry has few items.
MAX_ENTRIES = 500
# For how many services it is read whether they would get an item, before they are asked to. The others are.
MAX_CONFIRMED = 50
# Besides two lifetimes of a token: clocks differ, and timestamps are older than the commit.
MARGIN = timedelta(minutes=1)
# No commit waits for longer. What was allowed again later works, even if no checkpoint has been signed for long.
LONGEST_COMMIT = timedelta(minutes=1)
SUBJECTS = ("family", "consent", "agent", "user", "organization", "delegation", "receiver")


class Item(NamedTuple):
    """What ended: the tokens of the subject with this id that were issued until then or, if given, scopes of these."""

    subject: str
    id: str
    at: datetime
    scopes: Sequence[str] = ()

    @property
    def kind(self) -> str:
        return "scope" if self.scopes else self.named

    @property
    def named(self) -> str:
        """Return as what tokens name the subject. A receiver is an organization to which work was handed on."""
        return "organization" if self.subject == "receiver" else self.subject


class Revocations(NamedTuple):
    """The items for a service. `next` is the index to continue from. There are more if not `is_complete`."""

    items: list[Item]
    next: int
    is_complete: bool


class Told(NamedTuple):
    """What an entry says, and by when it was committed.

    `whole` is what its part `connection` has, otherwise the record.
    """

    at: datetime
    content: Mapping[str, Any]
    whole: Mapping[str, Any]


def revocations_for(server: ResourceServer, after: int | None = None) -> Revocations:
    """Return what ended since the index `after`, or in the last two lifetimes of a token, and concerns the server."""
    since = clock.now() - 2 * settings.ACCESS_TOKEN_LIFETIME - MARGIN
    found, waiting = newest_events(after, since, MAX_ENTRIES, ITEMS)
    logged = map(_logged, found.entries, signed_at([entry.leaf_index for entry in found.entries]))
    told = [*logged, *map(_waiting, waiting or ())]
    items = [item for one in told if one.at >= since for item in ITEMS[one.content["event"]](one)]
    return Revocations(_concerning(server, items), found.end, is_complete=waiting is not None)


def watch_revocations() -> Watch:
    """Return what tells the front which requests for revocations have news, also of what is not in the log yet."""
    return Watch(_concerns, _in_journal, _start_confirming)


def await_revocations(server: ResourceServer, found: Revocations) -> str:
    """Return what a request with this answer waits for, for `watch_revocations`."""
    waits = {"after": found.next - 1, "server": server.pk, "organization": server.organization_id}
    return orjson.dumps(waits).decode()


def _family(told: Told) -> Iterator[Item]:
    yield Item("family", told.content["metadata"]["familyId"], told.at)


def _consent(told: Told) -> Iterator[Item]:
    yield Item("consent", told.content["consentId"], told.at)


def _narrowed(told: Told) -> Iterator[Item]:
    """Yield the scopes that the user took back, and the consent if its new end is before that of its tokens."""
    metadata, consent_id = told.whole["metadata"], told.content["consentId"]
    if metadata["removed"]:
        yield Item("consent", consent_id, told.at, metadata["removed"])
    before, after = (datetime.fromisoformat(metadata[name]["expiresAt"]) for name in ("before", "after"))
    if after < min(before, told.at + settings.ACCESS_TOKEN_LIFETIME):
        yield Item("consent", consent_id, told.at)


def _replaced(told: Told) -> Iterator[Item]:
    """Yield the scopes that the new consent lacks. Entries of earlier versions do not say which, so all count."""
    removed = told.whole["metadata"].get("removed", told.whole["scopes"])
    if removed:
        yield Item("consent", told.content["consentId"], told.at, removed)


def _agent(told: Told) -> Iterator[Item]:
    yield Item("agent", told.content["agentId"], told.at)


def _changed_agent(told: Told) -> Iterator[Item]:
    """Yield the scopes that the developer took from the agent."""
    if removed := told.content["metadata"].get("removedScopes"):
        yield Item("agent", told.content["agentId"], told.at, removed)


def _organization(told: Told) -> Iterator[Item]:
    yield Item("organization", told.content["organizationId"], told.at)


def _user(told: Told) -> Iterator[Item]:
    yield Item("user", told.content["userId"], told.at)


def _delegation(told: Told) -> Iterator[Item]:
    yield Item("delegation", told.content["chain"][-1]["delegationId"], told.at)


def _unverified(told: Told) -> Iterator[Item]:
    """Yield an organization that is not verified any longer, which may not receive work from others."""
    metadata = told.content["metadata"]
    if metadata.get("verified") is False or metadata.get("endsVerification"):
        yield Item("receiver", told.content["organizationId"], told.at)


def _stopped(told: Told) -> Iterator[Item]:
    """Yield nothing: while everything is stopped, services are refused an answer."""
    yield from ()


ITEMS: Mapping[str, Callable[[Told], Iterator[Item]]] = {
    Event.TOKEN_REVOKED: _family,
    Event.TOKEN_REPLAYED: _family,
    Event.CONSENT_REVOKED: _consent,
    Event.CONSENT_EXPIRED: _consent,
    Event.CONSENT_NARROWED: _narrowed,
    Event.CONSENT_REPLACED: _replaced,
    Event.AGENT_PAUSED: _consent,
    Event.AGENTS_PAUSED: _user,
    Event.AGENT_SUSPENDED: _agent,
    Event.AGENT_STOPPED: _agent,
    Event.AGENT_UPDATED: _changed_agent,
    Event.AGENT_REACTIVATED: _changed_agent,
    Event.ORGANIZATION_SUSPENDED: _organization,
    Event.ORGANIZATION_STOPPED: _organization,
    Event.ORGANIZATION_DELETION_STARTED: _organization,
    Event.DELEGATION_ENDED: _delegation,
    Event.ORGANIZATION_VERIFIED: _unverified,
    Event.ORGANIZATION_UPDATED: _unverified,
    Event.DOMAIN_PROVED: _unverified,
    Event.DOMAIN_REMOVED: _unverified,
    Event.DOMAIN_LOST: _unverified,
    Event.USER_DEACTIVATED: _user,
    Event.USER_ERASED: _user,
    Event.EVERYTHING_STOPPED: _stopped,
}


# After these, the answer can be a refusal, without an item.
REFUSED = frozenset({Event.EVERYTHING_STOPPED, Event.ORGANIZATION_SUSPENDED, Event.ORGANIZATION_DELETION_STARTED})


def _concerning(server: ResourceServer, items: Sequence[Item]) -> list[Item]:
    """Return the items about tokens that reach the server, with the ids that these tokens carry."""
    if not items:
        return []
    # The oldest tokens that these items can end were issued since then.
    since = min(item.at for item in items) - settings.ACCESS_TOKEN_LIFETIME - MARGIN
    asked = {subject: {item.id for item in items if item.subject == subject} for subject in SUBJECTS}
    carried: dict[str, Collection[str]] = {
        **{one: [one] for one in reach.families_for(server, asked["family"])},
        **{one: [one] for one in reach.users_for(server, asked["user"], since)},
        **{one: [one] for one in reach.organizations_for(server, asked["organization"], since)},
        **{one: [one] for one in reach.receivers_for(server, asked["receiver"] - asked["organization"], since)},
        **{one: [one] for one in reach.delegations_for(server, asked["delegation"])},
        **{one: [client_id] for one, client_id in reach.agents_for(server, asked["agent"], since).items()},
        **reach.consents_for(server, asked["consent"], since),
    }
    return [item._replace(id=one) for item in items for one in carried.get(item.id, ())]


def _logged(entry: InOrder, signed: datetime | None) -> Told:
    return _told(entry.record(), entry.withheld(), signed)


def _waiting(entry: Prepared) -> Told:
    return _told(entry.content, entry.withheld)


def _told(content: Mapping[str, Any], withheld: Mapping[str, Any], committed: datetime | None = None) -> Told:
    acted = datetime.fromisoformat(content["timestamp"])
    at = min(max(acted, committed or clock.now()), acted + LONGEST_COMMIT)
    return Told(at, content, withheld.get(CONNECTION, content))


def _concerns(about: About, news: News) -> bool:
    return news.event in ITEMS


def _start_confirming() -> Confirm:
    """Return what tells whether a service would get an item. Otherwise one tenant's acts would wake all services."""
    asked: dict[tuple[str, int], bool] = {}

    def confirm(about: About, after: int, news: Sequence[News]) -> bool:
        if any(each.event in REFUSED and _is_refused(about, each) for each in news):
            return True
        place = (about["server"], after)
        if place not in asked:
            asked[place] = len(asked) >= MAX_CONFIRMED or _has_items(*place)
        return asked[place]

    return confirm


def _is_refused(about: About, news: News) -> bool:
    return news.event == Event.EVERYTHING_STOPPED or about["organization"] in news.organization_ids


def _has_items(server_id: str, after: int) -> bool:
    server = ResourceServer.objects.filter(pk=server_id).first()
    found = revocations_for(server, after + 1) if server else None
    return found is None or bool(found.items) or not found.is_complete


def _in_journal() -> Iterator[News]:
    return map(_news, waiting_entries())


def _news(entry: Prepared) -> News:
    return News(entry.content["event"], entry.content["agentId"], entry.organization_ids, None)
