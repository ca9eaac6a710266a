"""Consents, as they are asked for, shown and decided."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.redirects import destination
from agents.selectors import document_host
from api.strict import Line, Moment, StrictSerializer, Text, TextList
from api.v1.shapes.scopes import Scope
from consent.models import Consent as ConsentRow
from consent.pkce import is_challenge
from core import clock
from resources.catalogue import read_snapshot

MAX_SCOPES, MAX_URI, MAX_STATE, MAX_RESOURCES = 100, 2000, 2000, 20
STATUSES = ConsentRow.Status.values


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "minLength": 1, "maxLength": MAX_URI},
            {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": MAX_URI},
                "minItems": 1,
                "maxItems": MAX_RESOURCES,
            },
        ]
    }
)
class Resource(serializers.Field):
    """One identifier of a resource server, or a list of them (RFC 8707 section 2)."""

    def to_internal_value(self, data: Any) -> list[str]:
        items = [data] if isinstance(data, str) else data
        return TextList(min_items=1, max_items=MAX_RESOURCES, item_length=MAX_URI).run_validation(items)


class InitiateBody(StrictSerializer):
    """What an agent asks for."""

    clientId = Text(max_length=2000)
    clientSecret = Text(max_length=500, required=False)
    requestedScopes = TextList(min_items=1, max_items=MAX_SCOPES)
    optionalScopes = TextList(max_items=MAX_SCOPES, default=list)
    redirectUri = Text(max_length=MAX_URI)
    userId = Text(max_length=64, default="", allow_blank=True)
    state = Text(max_length=MAX_STATE, default="", allow_blank=True)
    codeChallenge = Text(max_length=128, required=False)
    codeChallengeMethod = serializers.ChoiceField(choices=["S256"], required=False)
    resource = Resource(default=list)
    reason = Line(max_length=200, default="", allow_blank=True)

    def validate_codeChallenge(self, value: str) -> str:  # noqa: N802  named after the field
        if not is_challenge(value):
            raise serializers.ValidationError("Give the base64url of a SHA-256: 43 characters (RFC 7636).")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "codeChallengeMethod" in attrs and "codeChallenge" not in attrs:
            raise serializers.ValidationError({"codeChallenge": "codeChallengeMethod says how it was made."})
        return attrs


class ApproveBody(StrictSerializer):
    """Which scopes to grant: requested or currently live ones. All requested ones by default."""

    scopes = TextList(max_items=MAX_SCOPES, required=False)


class EmptyBody(StrictSerializer):
    """Nothing need be said."""


class PendingConsent(serializers.Serializer):
    """Send the person to `consentUrl` within ten minutes."""

    consentId = serializers.CharField()
    consentUrl = serializers.URLField()
    status = serializers.ChoiceField(choices=["pending"])
    expiresAt = Moment()


class ConsentDeveloper(serializers.Serializer):
    """Who answers for an agent. `verified` says that an administrator of this server has checked who they are.

    A client that registered itself has no developer: `name` is the host that publishes its metadata, or else the one
    to which this request returns.
    """

    name = serializers.CharField()
    verified = serializers.BooleanField()


class ConsentAgent(serializers.Serializer):
    """An agent as a person sees it."""

    name = serializers.CharField()
    description = serializers.CharField()
    developer = ConsentDeveloper()


class ConnectedAgent(ConsentAgent):
    id = serializers.CharField()


class Consent(serializers.Serializer):
    """A request for consent. `requestedScopes` are in the words of the moment when the agent asked.

    Only its owner sees `grantedScopes`.
    """

    id = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    agent = ConsentAgent()
    requestedScopes = Scope(many=True)
    redirectUri = serializers.CharField()
    reason = serializers.CharField()
    expiresAt = Moment()
    grantedScopes = serializers.ListField(child=serializers.CharField(), required=False)


class ApprovedConsent(serializers.Serializer):
    """The code appears here once, lives 60 seconds and works once. `grantedScopes` is all that the agent may do now."""

    status = serializers.ChoiceField(choices=["approved"])
    code = serializers.CharField()
    redirectUrl = serializers.CharField()
    grantedScopes = serializers.ListField(child=serializers.CharField())


class DeniedConsent(serializers.Serializer):
    status = serializers.ChoiceField(choices=["denied"])
    redirectUrl = serializers.CharField()


class ConnectedConsent(serializers.Serializer):
    """One of a person's own consents."""

    id = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    agent = ConnectedAgent()
    grantedScopes = serializers.ListField(child=serializers.CharField())
    createdAt = Moment()
    decidedAt = Moment(allow_null=True)
    lastUsedAt = Moment(allow_null=True)
    expiresAt = Moment()


class RevokedConsent(serializers.Serializer):
    id = serializers.CharField()
    status = serializers.ChoiceField(choices=["revoked"])
    revokedAt = Moment(source="revoked_at")


def show_consent(consent: ConsentRow, *, is_owner: bool) -> Any:
    """Return the consent as JSON."""
    shown = {
        "id": consent.id,
        "status": consent.status_at(clock.now()),
        "agent": agent_facts(consent),
        "requestedScopes": [one for one in read_snapshot(consent.shown_scopes) if one.id in consent.requested_scopes],
        "redirectUri": consent.redirect_uri,
        "reason": consent.reason,
        "expiresAt": consent.expires_at,
        **({"grantedScopes": consent.granted_scopes} if is_owner else {}),
    }
    return Consent(shown).data


def agent_facts(consent: ConsentRow) -> dict[str, Any]:
    """Return who asks. A client that registered itself has no developer.

    In place of a name stands the host that publishes its metadata, or else the one it returns to in this request.
    """
    agent, organization = consent.agent, consent.agent.organization
    name = organization.name if organization else document_host(agent) or destination(consent.redirect_uri)
    verified = organization.is_verified if organization else False
    return {
        "id": agent.id,
        "name": agent.name,
        "description": agent.description,
        "developer": {"name": name, "verified": verified},
    }
