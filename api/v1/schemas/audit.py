"""Log entries, and the filters of their lists."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from api.v1.schemas.base import GivenMoment, Omittable, OneOf, Out, Text
from api.v1.schemas.pages import INVALID_CURSOR, Page, PageQuery, encode_cursor
from audit.events import Event, Outcome
from audit.readers.reading import AuditEntry
from audit.readers.search import Listing, UnknownCursor
from audit.selectors import Filters, describe_for_organization, describe_for_user
from core.errors import Invalid

EventName = Annotated[str, OneOf(*Event)]
OutcomeName = Annotated[str, OneOf(*Outcome)]
# Entries store their time as text.
WrittenMoment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
ERASABLE = ("resource", "ip", "userAgent")


class OwnAuditQuery(PageQuery):
    """Filters that must all match. `from` is inclusive, `to` exclusive."""

    agent_id: Omittable[Text] = Field(None, max_length=128)
    event: Omittable[EventName] = None
    outcome: Omittable[OutcomeName] = None
    chain: Omittable[Text] = Field(
        None,
        max_length=128,
        description="An agent, which acted itself or handed the work on, or a delegation, for what happened below it.",
    )
    since: Omittable[GivenMoment] = Field(None, alias="from")
    until: Omittable[GivenMoment] = Field(None, alias="to")


class AuditQuery(OwnAuditQuery):
    """The filters of an organization's log. A user's own log needs no `userId`: all its entries are about that user."""

    user_id: Omittable[Text] = Field(None, max_length=128)


class ChainedAgentOut(Out):
    """An agent of a chain, its organization, and the delegation by which it acts: null for the first agent."""

    # As in entries.
    model_config = ConfigDict(alias_generator=to_camel)

    agent_id: str
    delegation_id: str | None
    organization_id: str | None


class AuditEntryOut(Out):
    """A log entry. `ip`, `userAgent` and `resource` are null after they have been erased.

    The log keeps the `context` of a verify request as personal data. If its canonical JSON is longer than 4096 bytes,
    the log has `shortenedContext` in its place: `{"size": ..., "sha256": ..., "beginning": ..., "fields": [...],
    "named": {...}}`, with the names of its first fields and its texts in `verb`, `recipient` and `target`.

    Users see `ip` and `userAgent` of their own actions. Developers see those of their organization's agents, services
    and developers, never those of users. For a verify request, `ip` is the address from which the agent called, shown
    only to the agent's organization; `userAgent` is that of the service that asked, or null if its proxy asked. For a
    policy of another organization, developers see only `metadata.ruleType`, and `policyId` is null.

    If the work was handed on, `chain` has the agents from the first one, to which the user granted, to `agentId`. If a
    limit of a delegation denied, `metadata.limitedBy` is `delegation`, and `metadata.delegationId` says which.
    """

    # Entries already have camelCase names.
    model_config = ConfigDict(alias_generator=to_camel)

    id: str
    timestamp: WrittenMoment
    event: EventName
    outcome: OutcomeName
    reason: str | None
    policy_id: str | None
    agent_id: str | None
    user_id: str | None
    consent_id: str | None
    action: str | None
    scopes: list[str]
    resource: str | None
    ip: str | None
    user_agent: str | None
    request_id: str | None
    metadata: dict[str, Any]
    chain: Omittable[list[ChainedAgentOut]] = None


def show_entries_about(user_id: str) -> Callable[[Sequence[AuditEntry]], list[AuditEntryOut]]:
    """Return a function that converts entries about a user to what that user may read."""
    return lambda entries: _show(describe_for_user(entries, user_id))


def show_entries_to(organization_id: str) -> Callable[[Sequence[AuditEntry]], list[AuditEntryOut]]:
    """Return a function that converts entries to what the organization may read."""
    return lambda entries: _show(describe_for_organization(entries, organization_id))


def filters_of(query: OwnAuditQuery) -> Filters:
    return Filters(**{name: value for name, value in query.sent().items() if name not in ("limit", "cursor")})


def paginate_log(
    listing: Listing, query: OwnAuditQuery, show: Callable[[Sequence[AuditEntry]], list[AuditEntryOut]]
) -> Page[AuditEntryOut]:
    """Return the page that `query` asks for. Raises `Invalid` if the cursor is not the id of one of the entries."""
    try:
        entries, cursor = listing.page(query.cursor or "", query.limit)
    except UnknownCursor as error:
        raise Invalid.field("cursor", INVALID_CURSOR) from error
    return Page[AuditEntryOut](items=show(entries), next_cursor=encode_cursor(cursor) if cursor else None)


def _show(entries: Iterable[dict[str, Any]]) -> list[AuditEntryOut]:
    def erasable(entry: dict[str, Any]) -> dict[str, Any]:
        return {name: entry["personal"].get(name) for name in ERASABLE}

    return [AuditEntryOut.model_validate({**entry, **erasable(entry)}) for entry in entries]
