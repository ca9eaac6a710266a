"""Tokens and decisions."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.strict import Line, Opaque, StrictSerializer, Text, TextList
from core import clock
from core.canonical import canonical_json
from core.net import parse_address
from decisions.requests import Decision as DecisionMade
from decisions.requests import Reason
from resources.custom_scopes import MAX_SCOPE_ID, SCOPE_ID
from tokens.services import IssuedTokens

MAX_SCOPES, MAX_BATCH, MAX_CONTEXT_BYTES = 100, 100, 16 * 1024
MAX_ACTION, MAX_RESOURCE = 200, 2000


class ClientBody(StrictSerializer):
    """Client credentials in the body; with HTTP Basic they are left out."""

    clientId = Text(max_length=2000, required=False)
    clientSecret = Text(max_length=500, required=False)


class ExchangeBody(ClientBody):
    code = Opaque()
    codeVerifier = Text(max_length=128, default="", allow_blank=True)
    redirectUri = Text(max_length=2000, required=False)


class RefreshBody(ClientBody):
    refreshToken = Opaque()


class RevokeBody(ClientBody):
    token = Opaque()


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "ip": {"oneOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]},
        },
        "additionalProperties": True,
    }
)
class Context(serializers.Field):
    """What the call is about, free-form: verb, recipient, target, amount, text, diff, ip."""

    default_error_messages = {
        "object": "Must be an object.",
        "size": f"Must be at most {MAX_CONTEXT_BYTES} bytes.",
        "text": "Must not contain NUL characters.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("object")
        canonical = canonical_json(data)
        if len(canonical) > MAX_CONTEXT_BYTES:
            self.fail("size")
        if b"\\u0000" in canonical:
            self.fail("text")
        return {**data, "ip": _read_address(data["ip"])} if "ip" in data else data


class ScopeId(Text):
    """The id of a scope: of the catalogue, of a service's own, or of one that nobody has defined."""

    default_error_messages = {"scope": "Must be a scope id, such as email:read."}
    pattern = f"^{SCOPE_ID.pattern}$"

    def __init__(self) -> None:
        super().__init__(max_length=MAX_SCOPE_ID)

    def to_internal_value(self, data: Any) -> str:
        scope = super().to_internal_value(data)
        if not SCOPE_ID.fullmatch(scope):
            self.fail("scope")
        return scope


class VerifyBody(StrictSerializer):
    """May the bearer of `token` do this now?"""

    token = Opaque()
    requiredScopes = TextList(child=ScopeId(), min_items=1, max_items=MAX_SCOPES)
    action = Line(max_length=MAX_ACTION, required=False)
    resource = Line(max_length=MAX_RESOURCE, required=False)
    context = Context(default=dict)


class BatchBody(StrictSerializer):
    """Up to 100 questions, answered in their order."""

    requests = serializers.ListField(child=VerifyBody(), min_length=1, max_length=MAX_BATCH)


class Tokens(serializers.Serializer):
    """A new pair of tokens, shown this once."""

    accessToken = serializers.CharField()
    tokenType = serializers.ChoiceField(choices=["Bearer"])
    expiresIn = serializers.IntegerField()
    refreshToken = serializers.CharField()
    refreshExpiresIn = serializers.IntegerField()
    grantedScopes = serializers.ListField(child=serializers.CharField())
    userId = serializers.CharField(allow_null=True)
    agentId = serializers.CharField()
    consentId = serializers.CharField(allow_null=True)


class Revoked(serializers.Serializer):
    revoked = serializers.BooleanField()


class DenyingPolicy(serializers.Serializer):
    """The policy that denied, and the type of its rule that did."""

    id = serializers.CharField()
    name = serializers.CharField()
    ruleType = serializers.CharField()


class Decision(serializers.Serializer):
    """The answer. About a token that is not ours it says no more than `invalid_token`."""

    allowed = serializers.BooleanField()
    reason = serializers.ChoiceField(choices=[(reason.value, reason.value) for reason in Reason], required=False)
    userId = serializers.CharField(allow_null=True, required=False)
    agentId = serializers.CharField(allow_null=True, required=False)
    consentId = serializers.CharField(allow_null=True, required=False)
    grantedScopes = serializers.ListField(child=serializers.CharField(), required=False)
    expiresAt = serializers.DateTimeField(required=False)
    auditId = serializers.CharField(required=False)
    missingScopes = serializers.ListField(child=serializers.CharField(), required=False)
    policy = DenyingPolicy(required=False)
    retryAfterSeconds = serializers.IntegerField(required=False)


class Decisions(serializers.Serializer):
    decisions = Decision(many=True)


def _read_address(text: Any) -> str:
    address = parse_address(text) if isinstance(text, str) else None
    if address is None:
        raise serializers.ValidationError({"ip": ["Must be an IPv4 or IPv6 address, without a zone or spaces."]})
    return str(address)


def show_tokens(issued: IssuedTokens) -> dict[str, Any]:
    """Return the pair as JSON; durations are in seconds."""
    return {
        "accessToken": issued.access_token,
        "tokenType": "Bearer",
        "expiresIn": int(settings.ACCESS_TOKEN_LIFETIME.total_seconds()),
        "refreshToken": issued.refresh_token,
        "refreshExpiresIn": int(settings.REFRESH_TOKEN_LIFETIME.total_seconds()),
        "grantedScopes": list(issued.scopes),
        "userId": issued.family.user_id,
        "agentId": issued.family.application_id,
        "consentId": issued.family.consent_id,
    }


def show_decision(decision: DecisionMade) -> dict[str, Any]:
    """Return the decision as JSON, written by hand: it is asked for before every action of every agent."""
    if not decision.is_known:
        return {"allowed": False, "reason": decision.reason}
    shown: dict[str, Any] = {
        "allowed": decision.allowed,
        "userId": decision.user_id,
        "agentId": decision.agent_id,
        "consentId": decision.consent_id,
        "grantedScopes": list(decision.granted_scopes),
        "expiresAt": clock.rfc3339(decision.expires_at) if decision.expires_at else None,
        "auditId": decision.audit_id,
    }
    if decision.reason is not None:
        shown["reason"] = decision.reason
    if decision.missing_scopes:
        shown["missingScopes"] = list(decision.missing_scopes)
    if decision.policy is not None:
        policy = decision.policy
        shown["policy"] = {"id": policy.policy_id, "name": policy.policy_name, "ruleType": policy.rule_type}
    if decision.retry_after_seconds is not None:
        shown["retryAfterSeconds"] = decision.retry_after_seconds
    return shown
