"""The decision of the naive reference and its log entry."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

import jwt
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from rest_framework.request import Request

from audit.models import Journal
from core.ids import new_id
from limits.models import Counter
from policies.models import Policy
from resources.models import ResourceServer
from tokens.models import AccessToken, SigningKey


@dataclass
class Decision:
    allowed: bool
    reason: str | None = None
    token: AccessToken | None = None

    def shown(self) -> dict[str, Any]:
        if self.token is None:
            return {"allowed": False, "reason": self.reason}
        facts = {
            "allowed": self.allowed,
            "userId": self.token.user_id,
            "agentId": self.token.application_id,
            "consentId": self.token.family.consent_id,
            "grantedScopes": self.token.scope.split(),
            "expiresAt": self.token.expires.isoformat(),
        }
        return facts if self.allowed else {**facts, "reason": self.reason}


def decide(question: dict[str, Any], server: ResourceServer) -> Decision:
    try:
        claims = read(question["token"])
    except jwt.InvalidTokenError:
        return Decision(allowed=False, reason="invalid_token")
    related = ("user", "application__organization", "family__consent")
    token = AccessToken.objects.select_related(*related).filter(id=claims["jti"]).first()
    if token is None:
        return Decision(allowed=False, reason="token_revoked")
    now = timezone.now()
    reason = problem_with(token, question, server, now) or problem_with_policies(token, question, now)
    return Decision(allowed=reason is None, reason=reason, token=token)


def read(token: str) -> dict[str, Any]:
    key, algorithm = key_for(jwt.get_unverified_header(token)["kid"])
    return jwt.decode(
        token, key, algorithms=[algorithm], issuer=settings.JWT_ISSUER, audience=settings.API_URL, leeway=10
    )


@lru_cache
def key_for(kid: str) -> tuple[Any, str]:
    row = SigningKey.objects.get(kid=kid)
    return jwt.PyJWK(row.public_jwk).key, row.algorithm


def problem_with(token: AccessToken, question: dict[str, Any], server: ResourceServer, now: datetime) -> str | None:
    agent, consent = token.application, token.family.consent
    checks = {
        "token_expired": token.expires <= now,
        "token_revoked": token.family.revoked_at is not None,
        "service_suspended": not server.organization.serves,
        "organization_suspended": agent.organization.suspended_at is not None,
        "organization_stopped": agent.organization.is_stopped,
        "agent_suspended": agent.status != "active" or agent.stopped_at is not None,
        "user_inactive": not token.user.is_active,
        "consent_revoked": consent.status != "approved",
        "consent_expired": consent.expires_at <= now,
        "wrong_audience": agent.organization_id != server.organization_id,
        "insufficient_scope": not set(question["requiredScopes"])
        <= set(token.scope.split()) & set(consent.granted_scopes) & set(agent.allowed_scopes),
    }
    return next((reason for reason, is_so in checks.items() if is_so), None)


def problem_with_policies(token: AccessToken, question: dict[str, Any], now: datetime) -> str | None:
    agent = token.application
    policies = Policy.objects.filter(
        Q(agent=agent) | Q(agent=None), organization_id=agent.organization_id, enabled=True
    ).order_by("id")
    rules = [(policy, rule) for policy in policies for rule in policy.rules]
    allowed = all(allows(policy, rule, token, question, now) for policy, rule in rules)
    return None if allowed else "policy_denied"


def allows(policy: Policy, rule: dict[str, Any], token: AccessToken, question: dict[str, Any], now: datetime) -> bool:
    config = rule["config"]
    wanted = {*question["requiredScopes"], question.get("action") or question["requiredScopes"][0]}
    if rule["type"] == "rate_limit":
        return count(f"naive:{policy.id}:{token.user_id}", config["maxRequests"], config["windowSeconds"], now)
    if rule["type"] == "ip_allowlist":
        address = ip_address(question["context"]["ip"])
        return any(address in ip_network(cidr) for cidr in config["cidrs"])
    matching = {action for action in wanted if any(matches(pattern, action) for pattern in config["actions"])}
    return matching == wanted if rule["type"] == "action_allowlist" else not matching


def matches(pattern: str, action: str) -> bool:
    return action.startswith(pattern[:-1]) if pattern.endswith(":*") else action == pattern


def count(key: str, limit: int, window_seconds: int, now: datetime) -> bool:
    """Count a request in its fixed window, under the lock of the counter's row, and return whether it fits."""
    window = int(now.timestamp()) // window_seconds
    fresh = {"slot": window, "counts": b"0", "expires_at": now}
    counter, _ = Counter.objects.select_for_update().get_or_create(key=key, defaults=fresh)
    used = int(bytes(counter.counts)) if counter.slot == window else 0
    if used >= limit:
        return False
    counter.slot, counter.counts = window, str(used + 1).encode()
    counter.save(update_fields=["slot", "counts"])
    return True


def record(decision: Decision, question: dict[str, Any], request: Request) -> str:
    """Insert the log entry, as plain JSON. Return its id."""
    token, entry_id = decision.token, new_id("log")
    body = {
        "id": entry_id,
        "timestamp": timezone.now().isoformat(),
        "event": "token.verify",
        "outcome": "allowed" if decision.allowed else "denied",
        "userId": token.user_id if token else None,
        "agentId": token.application_id if token else None,
        "consentId": token.family.consent_id if token else None,
        "reason": decision.reason,
        "server": request.user.id,
        "tokenId": token.id if token else None,
        "action": question.get("action"),
        "scopes": question["requiredScopes"],
        "resource": question.get("resource"),
        "context": question["context"],
        "ip": request.META.get("REMOTE_ADDR"),
        "userAgent": request.headers.get("User-Agent"),
    }
    # A table of the product with one index. Nothing moves the rows on.
    Journal.objects.create(body=json.dumps(body).encode())
    return entry_id
