"""Resource servers and the scopes of their own, as they come in and go out."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.strict import Line, Moment, StrictSerializer, Text
from resources.catalogue import catalogue, describe_scopes
from resources.custom_scopes import MAX_SCOPE_ID, MAX_SCOPES, SCOPE_ID, ScopeDefinition
from resources.models import RISK_LEVELS
from resources.models import ResourceServer as ResourceServerRow
from resources.services import MAX_IDENTIFIER_LENGTH

MAX_NAME, MAX_TITLE, MAX_WORDS = 200, 80, 200
OWN_SCOPE_SCHEMA = {
    "type": "object",
    "description": "A scope of the service's own, in the words of the consent screen.",
    "properties": {
        "id": {"type": "string", "pattern": f"^{SCOPE_ID.pattern}$"},
        "riskLevel": {"type": "string", "enum": list(RISK_LEVELS)},
        "title": {"type": "string", "minLength": 1, "maxLength": MAX_TITLE},
        "description": {"type": "string", "minLength": 1, "maxLength": MAX_WORDS},
        "cannot": {"type": "string", "minLength": 1, "maxLength": MAX_WORDS},
    },
    "required": ["id", "riskLevel", "title", "description", "cannot"],
    "additionalProperties": False,
}


class OwnScope(StrictSerializer):
    """A scope of the service's own, in the words of the consent screen."""

    id = Text(max_length=MAX_SCOPE_ID)
    riskLevel = serializers.ChoiceField(choices=RISK_LEVELS, source="risk_level")
    title = Line(max_length=MAX_TITLE)
    description = Line(max_length=MAX_WORDS)
    cannot = Line(max_length=MAX_WORDS)

    def to_internal_value(self, data: Any) -> ScopeDefinition:
        return ScopeDefinition(**super().to_internal_value(data))


@extend_schema_field({"oneOf": [{"type": "string", "minLength": 1, "maxLength": MAX_SCOPE_ID}, OWN_SCOPE_SCHEMA]})
class AnyScope(serializers.Field):
    """The id of a scope, or a scope of the service's own in full."""

    def to_internal_value(self, data: Any) -> str | ScopeDefinition:
        if isinstance(data, str):
            return Text(max_length=MAX_SCOPE_ID).run_validation(data)
        return OwnScope().run_validation(data)

    def to_representation(self, value: Any) -> Any:
        return value


class ResourceServerChanges(StrictSerializer):
    """What of a resource server can be changed. Its identifier stays: tokens carry it."""

    name = Line(max_length=MAX_NAME)
    scopes = serializers.ListField(child=AnyScope(), min_length=1, max_length=MAX_SCOPES)


class NewResourceServerBody(ResourceServerChanges):
    identifier = Text(
        max_length=MAX_IDENTIFIER_LENGTH,
        help_text="The service's audience: an absolute https or http URI without user name or fragment. The answer "
        "has it in its canonical form: scheme and host in lower case, an international host in ASCII, no dot after the "
        "host, no default port, no slash alone as path, no dot segments, no needless escapes.",
    )


class ResourceServer(serializers.Serializer):
    """A service that accepts our tokens. `scopes` can be sent back as they are."""

    id = serializers.CharField()
    name = serializers.CharField()
    identifier = serializers.CharField()
    scopes = serializers.ListField(child=AnyScope())
    createdAt = Moment(source="created_at")
    updatedAt = Moment(source="updated_at")


class NewResourceServer(ResourceServer):
    """A resource server just registered, with its secret, which is shown this once."""

    secret = serializers.CharField()


class RotatedResourceServerSecret(serializers.Serializer):
    """A new secret. Those before it work until `previousSecretExpiresAt`."""

    id = serializers.CharField()
    secret = serializers.CharField()
    previousSecretExpiresAt = Moment()


def show_resource_servers(servers: Sequence[ResourceServerRow]) -> list[dict[str, Any]]:
    """Return the resource servers, the words of all their scopes read at once."""
    words = {scope.id: scope for scope in describe_scopes(one for server in servers for one in server.scopes)}

    def show(scope_id: str) -> Any:
        return scope_id if scope_id in catalogue() else OwnScope(words[scope_id]).data

    return [
        {**ResourceServer(server).data, "scopes": [show(one) for one in server.scopes if one in words]}
        for server in servers
    ]
