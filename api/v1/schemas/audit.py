"""Entries of the log, and what to narrow a listing to."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from api.v1.schemas.base import GivenMoment, Omittable, OneOf, Out, Text
from api.v1.schemas.pages import PageQuery
from audit.events import Event, Outcome
from audit.models import Entry
from audit.selectors import Filters, describe_for_organization, describe_for_person

EventName = Annotated[str, OneOf(*Event)]
OutcomeName = Annotated[str, OneOf(*Outcome)]
# An entry holds its time as the text that was written.
WrittenMoment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
ERASABLE = ("resource", "ip", "userAgent")


class OwnAuditQuery(PageQuery):
    """Filters that all must hold. `from` is inclusive, `to` exclusive."""

    agent_id: Omittable[Text] = Field(None, max_length=128)
    event: Omittable[EventName] = None
    outcome: Omittable[OutcomeName] = None
    since: Omittable[GivenMoment] = Field(None, alias="from")
    until: Omittable[GivenMoment] = Field(None, alias="to")


class AuditQuery(OwnAuditQuery):
    """The filters of an organization's log. A person's own entries are all about that person."""

    user_id: Omittable[Text] = Field(None, max_length=128)


class AuditEntryOut(Out):
    """One thing that happened. `ip`, `userAgent` and `resource` are null once they have been erased.

    The log keeps the `context` of a verify as personal data; of one whose canonical JSON exceeds 4096 bytes only
    `{"truncated": true, "size": ..., "sha256": ..., "beginning": ...}`.

    A person sees `ip` and `userAgent` of their own acts. A developer sees them for what the organization's own agents,
    services and developers did; never a person's. Of a verify `ip` is where the agent called from, shown to the
    agent's organization only, and `userAgent` that of the service that asked, null when its proxy did. Of another
    organization's policy a developer sees only `metadata.ruleType`; `policyId` is null.
    """

    # The log has the names of the wire.
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


def show_entries_about(user_id: str) -> Callable[[Sequence[Entry]], list[AuditEntryOut]]:
    """Return the function that shows a person the entries about them."""
    return lambda entries: _show(describe_for_person(entries, user_id))


def show_entries_to(organization_id: str) -> Callable[[Sequence[Entry]], list[AuditEntryOut]]:
    """Return the function that shows entries as far as the organization may read them."""
    return lambda entries: _show(describe_for_organization(entries, organization_id))


def filters_of(query: OwnAuditQuery) -> Filters:
    """Return the filters that the caller sent. The cursor is one: it lets a page begin deep in the log at no cost."""
    narrowing = {name: value for name, value in query.sent().items() if name not in ("limit", "cursor")}
    return Filters(**narrowing, before=query.cursor)


def _show(entries: Iterable[dict[str, Any]]) -> list[AuditEntryOut]:
    def erasable(entry: dict[str, Any]) -> dict[str, Any]:
        return {name: entry["personal"].get(name) for name in ERASABLE}

    return [AuditEntryOut.model_validate({**entry, **erasable(entry)}) for entry in entries]
