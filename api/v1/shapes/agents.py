"""Agents, as they come in and go out."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.models import Agent as AgentRow
from agents.redirects import MAX_REDIRECT_URI_LENGTH, MAX_REDIRECT_URIS
from api.strict import Flag, Line, Moment, StrictSerializer, Text, TextList

MAX_NAME, MAX_DESCRIPTION, MAX_SCOPES = 200, 500, 200
STATUSES = AgentRow.Status.values


class AgentChanges(StrictSerializer):
    """What of an agent can be changed; what is left out stays."""

    name = Line(max_length=MAX_NAME)
    description = Text(max_length=MAX_DESCRIPTION, allow_blank=True, allow_null=True)
    redirectUris = TextList(
        source="redirect_uris", min_items=1, max_items=MAX_REDIRECT_URIS, item_length=MAX_REDIRECT_URI_LENGTH
    )
    allowedScopes = TextList(source="allowed_scopes", min_items=1, max_items=MAX_SCOPES)
    requirePkce = Flag(source="require_pkce")
    status = serializers.ChoiceField(choices=STATUSES)

    def validate_description(self, value: str | None) -> str:
        return value or ""


class NewAgentBody(AgentChanges):
    description = Text(max_length=MAX_DESCRIPTION, allow_blank=True, allow_null=True, default="")
    requirePkce = Flag(source="require_pkce", default=False)
    status = None


class Stop(serializers.Serializer):
    """An administrator's stop. It stands beside the developer's own `status`, and only an administrator lifts it."""

    at = Moment(source="stopped_at")
    reason = serializers.CharField(source="stop_reason")


class Agent(serializers.Serializer):
    """An agent: an OAuth client that an organization registered."""

    id = serializers.CharField()
    clientId = serializers.CharField(source="client_id")
    name = serializers.CharField()
    description = serializers.CharField()
    redirectUris = serializers.ListField(child=serializers.CharField(), source="redirect_uri_list")
    allowedScopes = serializers.ListField(child=serializers.CharField(), source="allowed_scopes")
    requirePkce = serializers.BooleanField(source="require_pkce")
    status = serializers.ChoiceField(choices=STATUSES)
    stop = serializers.SerializerMethodField()
    createdAt = Moment(source="created")
    updatedAt = Moment(source="updated")

    @extend_schema_field(Stop(allow_null=True))
    def get_stop(self, agent: AgentRow) -> Any:
        return Stop(agent).data if agent.is_stopped else None


class NewAgent(Agent):
    """An agent just registered, with its secret, which is shown this once."""

    clientSecret = serializers.CharField()


class RotatedClientSecret(serializers.Serializer):
    """A new secret. Those before it work until `previousSecretExpiresAt`."""

    clientId = serializers.CharField()
    clientSecret = serializers.CharField()
    previousSecretExpiresAt = Moment()
