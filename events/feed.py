"""The feed: an organization's events in the order of their numbers, read from the log itself."""

from events.types import is_wanted
from events.waiting import About, News, Watch


def watch_events() -> Watch:
    """Return what tells the front which requests for the feed have new events."""
    return Watch(_concerns)


def _concerns(about: About, news: News) -> bool:
    return (
        about["organization"] in news.organization_ids
        and (about["types"] is None or is_wanted(about["types"], news.event))
        and (about["agents"] is None or news.agent_id in about["agents"])
    )
