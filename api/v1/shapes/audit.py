"""Entries of the log, and what to narrow a listing to."""

from collections.abc import Callable, Sequence
from typing import Any

from rest_framework import serializers

from api.pagination import PageQuery
from api.strict import Moment, Text
from audit.events import Event, Outcome
from audit.models import Entry
from audit.selectors import Filters, describe_for_organization, describe_for_person

EVENTS = [(event.value, event.value) for event in Event]
OUTCOMES = [(outcome.value, outcome.value) for outcome in Outcome]


class AuditQuery(PageQuery):
    """Filters that all must hold. `from` is inclusive, `to` exclusive."""

    agentId = Text(source="agent_id", max_length=128, required=False)
    userId = Text(source="user_id", max_length=128, required=False)
    event = serializers.ChoiceField(choices=EVENTS, required=False)
    outcome = serializers.ChoiceField(choices=OUTCOMES, required=False)

    def get_fields(self) -> dict[str, Any]:
        """Add the two whose names are words of Python."""
        moments = {"from": Moment(source="since", required=False), "to": Moment(source="until", required=False)}
        return {**super().get_fields(), **moments}


class OwnAuditQuery(AuditQuery):
    """A person's own entries are all about that person."""

    userId = None


class AuditEntry(serializers.Serializer):
    """One thing that happened. `ip`, `userAgent` and `resource` are null once they have been erased.

    The log keeps the `context` of a verify as personal data; of one whose canonical JSON exceeds 4096 bytes only
    `{"truncated": true, "size": ..., "sha256": ..., "beginning": ...}`.

    A person sees `ip` and `userAgent` of their own acts. A developer sees them for what the organization's own agents,
    services and developers did; never a person's. Of a verify `ip` is where the agent called from, shown to the
    agent's organization only, and `userAgent` that of the service that asked, null when its proxy did. Of another
    organization's policy a developer sees only `metadata.ruleType`; `policyId` is null.
    """

    id = serializers.CharField()
    timestamp = serializers.DateTimeField()
    event = serializers.ChoiceField(choices=EVENTS)
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField(allow_null=True)
    policyId = serializers.CharField(allow_null=True)
    agentId = serializers.CharField(allow_null=True)
    userId = serializers.CharField(allow_null=True)
    consentId = serializers.CharField(allow_null=True)
    action = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())
    resource = serializers.CharField(allow_null=True)
    ip = serializers.CharField(allow_null=True)
    userAgent = serializers.CharField(allow_null=True)
    requestId = serializers.CharField(allow_null=True)
    metadata = serializers.DictField()


ERASABLE = ("resource", "ip", "userAgent")
EVIDENT = tuple(name for name in map(str, AuditEntry().fields) if name not in ERASABLE)


def show_entries_about(user_id: str) -> Callable[[Sequence[Entry]], list[dict[str, Any]]]:
    """Return the function that shows a person the entries about them."""

    def show(entries: Sequence[Entry]) -> list[dict[str, Any]]:
        return [_show(described) for described in describe_for_person(entries, user_id)]

    return show


def show_entries_to(organization_id: str) -> Callable[[Sequence[Entry]], list[dict[str, Any]]]:
    """Return the function that shows entries as far as the organization may read them."""

    def show(entries: Sequence[Entry]) -> list[dict[str, Any]]:
        return [_show(described) for described in describe_for_organization(entries, organization_id)]

    return show


def filters_of(query: dict[str, Any]) -> Filters:
    narrowing = {name: value for name, value in query.items() if name not in ("limit", "cursor")}
    return Filters(**narrowing, before=query.get("cursor"))


def _show(described: dict[str, Any]) -> dict[str, Any]:
    personal = described["personal"]
    return {
        **{name: described[name] for name in EVIDENT},
        **{name: personal.get(name) for name in ERASABLE},
    }
