"""Event types and patterns: which events of an organization's log an endpoint or a reader of the feed gets.

A pattern is a type, `<subject>.*` or `*`. Decisions are so many that patterns leave them out: `token.verify` must be
named. A test event goes only to the endpoint that it tests.
"""

from collections.abc import Collection, Sequence

from django.utils.translation import gettext_noop

from audit.events import Event
from core.errors import Invalid
from core.wording import Filled

EVERYTHING = "*"
MAX_TYPES = 50
ONLY_NAMED = Event.TOKEN_VERIFY
ONLY_ASKED_FOR = Event.WEBHOOK_TEST
# Subjects and types whose entries are in no organization's log, and the one type of such a subject that is.
ELSEWHERE = frozenset({"user", "agents", "everything", "staff_role", "administration", "signing_key", "journal_row"})
ELSEWHERE |= {Event.AGENT_EXPIRED, Event.AGENT_REPORTED, Event.AGENT_REVIEWED}
REPORTED = Event.USER_ACTIVITY_DISPUTED
TYPES: tuple[str, ...] = tuple(
    sorted(one.value for one in Event if one is REPORTED or not ELSEWHERE & {one.value, one.value.split(".")[0]})
)


def patterns() -> list[str]:
    """Return all patterns that match several types."""
    return [EVERYTHING, *dict.fromkeys(f"{one.split('.')[0]}.*" for one in TYPES)]


def is_wanted(wanted: Collection[str], event_type: str) -> bool:
    """Return whether a type is among the wanted types and patterns."""
    if event_type in wanted:
        return event_type != ONLY_ASKED_FOR
    if event_type in (ONLY_NAMED, ONLY_ASKED_FOR):
        return False
    return EVERYTHING in wanted or f"{event_type.split('.')[0]}.*" in wanted


def checked_types(wanted: Sequence[str]) -> list[str]:
    """Return the types and patterns without repetitions. Raises `Invalid` for unknown ones, too many, and none."""
    found = list(dict.fromkeys(wanted))
    known = {*TYPES, *patterns()}
    unknown = next((one for one in found if one not in known), None)
    if unknown is not None:
        raise Invalid.field("types", Filled(gettext_noop("There is no event type “%(type)s”."), type=unknown[:64]))
    if ONLY_ASKED_FOR in found:
        text = gettext_noop(
            "Leave out “%(type)s”. Test events go to the webhook that they test, whatever its types are."
        )
        raise Invalid.field("types", Filled(text, type=ONLY_ASKED_FOR.value))
    if not 1 <= len(found) <= MAX_TYPES:
        raise Invalid.field("types", Filled(gettext_noop("Choose 1 to %(most)s event types."), most=MAX_TYPES))
    return found
