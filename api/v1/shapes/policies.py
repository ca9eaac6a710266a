"""Policies, as they come in and go out."""

from typing import Any

from rest_framework import serializers

from api.strict import Flag, Line, Moment, StrictSerializer, Text

MAX_NAME, MAX_DESCRIPTION = 200, 500


class Rules(serializers.Field):
    """A list of `{"type", "config"}`; the rules themselves say what is wrong with them."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class PolicyChanges(StrictSerializer):
    """What of a policy can be changed; what is left out stays. `rules` replaces all rules."""

    name = Line(max_length=MAX_NAME)
    description = Text(max_length=MAX_DESCRIPTION, allow_blank=True, allow_null=True)
    agentId = Text(max_length=255, allow_null=True)
    enabled = Flag()
    rules = Rules()

    def validate_description(self, value: str | None) -> str:
        return value or ""


class NewPolicy(PolicyChanges):
    description = Text(max_length=MAX_DESCRIPTION, allow_blank=True, allow_null=True, default="")
    agentId = Text(max_length=255, allow_null=True, default=None)
    enabled = Flag(default=True)


class Policy(serializers.Serializer):
    """Rules that must all hold, for one agent or, without `agentId`, for every agent of the organization."""

    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    agentId = serializers.CharField(source="agent_id", allow_null=True)
    enabled = serializers.BooleanField()
    rules = Rules()
    createdAt = Moment(source="created_at")
    updatedAt = Moment(source="updated_at")
