"""Revocations: what ended, for services that verify tokens offline."""

from collections.abc import Iterator

from audit.entries.drafts import Prepared
from audit.events import Event
from audit.readers.waiting import waiting_entries
from events.waiting import About, News, Watch

# After an entry of these, tokens that were valid are not.
EVENTS = frozenset(
    {
        Event.CONSENT_REVOKED,
        Event.CONSENT_NARROWED,
        Event.CONSENT_REPLACED,
        Event.TOKEN_REVOKED,
        Event.TOKEN_REPLAYED,
        Event.AGENT_SUSPENDED,
        Event.AGENT_STOPPED,
        Event.AGENT_PAUSED,
        Event.AGENT_DELETED,
        Event.AGENTS_PAUSED,
        Event.EVERYTHING_STOPPED,
        Event.ORGANIZATION_SUSPENDED,
        Event.ORGANIZATION_STOPPED,
        Event.ORGANIZATION_DELETED,
        Event.USER_DEACTIVATED,
        Event.USER_ERASED,
    }
)


def watch_revocations() -> Watch:
    """Return what tells the front which requests for revocations have news, also of what is not in the log yet."""
    return Watch(_concerns, _in_journal)


def _concerns(about: About, news: News) -> bool:
    return news.event in EVENTS


def _in_journal() -> Iterator[News]:
    return map(_news, waiting_entries())


def _news(entry: Prepared) -> News:
    return News(entry.content["event"], entry.content["agentId"], entry.organization_ids, None)
