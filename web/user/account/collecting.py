"""What the server stores about a user, as one JSON document. The log is a separate file, because it can be long."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import Model, QuerySet

from accounts.authenticators import second_factors_of
from accounts.choices import MAILS
from accounts.models import User
from accounts.selectors import addresses_of
from accounts.session_list import LiveSession, live_sessions
from approvals.models import Approval
from approvals.selectors import approvals_for_user
from consent.models import Consent
from consent.selectors import agreed_scopes, consents_for_user
from core import clock
from core.clock import rfc3339
from developers.invitations import invitations_to
from developers.models import ApiKey, Developer, Invitation
from developers.selectors import all_memberships_of, api_keys_for_developer
from tokens.delegation_selectors import delegations_for_user
from tokens.models import Delegation

FORMAT = "agentgate-data/2"
# A longer list has only its newest rows, and says so.
MAX_ROWS = 5_000
MAX_CHARACTERS = 8_000_000
CHUNK = 200
AUDIT_EXPORT = "/api/v1/users/me/audit-export"


def collect(user: User, now: datetime) -> dict[str, Any]:
    """Return the user's data. Times are in RFC 3339 format, and names are the same as in the API."""
    return {
        "format": FORMAT,
        "createdAt": rfc3339(now),
        "account": _account(user),
        "emailAddresses": [
            {"email": one.email, "primary": one.primary, "verified": one.verified} for one in addresses_of(user)
        ],
        "notifications": {name: getattr(user, field) for field, name in MAILS.items()},
        "secondFactors": _second_factors(user),
        "memberships": _rows(all_memberships_of(user), _membership),
        "invitations": _rows(invitations_to(user), _invitation),
        "sessions": [_session(one) for one in live_sessions(user, current_key=None)],
        "signedInFrom": {
            "networks": [_time(one) for one in user.known_addresses.values_list("last_seen_at", flat=True)],
            "devices": [_time(one) for one in user.known_devices.values_list("last_seen_at", flat=True)],
        },
        "connections": _rows(consents_for_user(user), _connection),
        "delegations": _rows(delegations_for_user(user), _delegation),
        "approvals": _rows(approvals_for_user(user), _approval),
        "history": {"url": f"{settings.API_URL}{AUDIT_EXPORT}"},
    }


def _rows[Row: Model](rows: QuerySet[Row], describe: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """Return the rows that fit. Agents write parts of them, so there may be many long ones."""
    items: list[dict[str, Any]] = []
    size = 0
    for row in rows.iterator(chunk_size=CHUNK):
        item = describe(row)
        size += len(json.dumps(item))
        if size > MAX_CHARACTERS or len(items) == MAX_ROWS:
            return {"isComplete": False, "items": items}
        items.append(item)
    return {"isComplete": True, "items": items}


def _account(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "timeZone": user.time_zone,
        "language": user.language,
        "theme": user.theme,
        "createdAt": rfc3339(user.created_at),
        "lastSignInAt": _time(user.last_login),
        "agentsPausedAt": _time(user.agents_paused_at),
    }


def _second_factors(user: User) -> dict[str, Any]:
    """Describe the ways to sign in other than the password, without their keys and secrets."""
    factors = second_factors_of(user)
    return {
        "passkeys": [{"name": one.data["name"], **_use(one)} for one in factors.passkeys],
        "authenticatorApp": _use(factors.totp) if factors.totp else None,
        "recoveryCodesLeft": factors.codes_left,
    }


def _use(factor: Authenticator) -> dict[str, str | None]:
    return {"createdAt": rfc3339(factor.created_at), "lastUsedAt": _time(factor.last_used_at)}


def _membership(developer: Developer) -> dict[str, Any]:
    organization = developer.organization
    return {
        "id": developer.id,
        "role": developer.role,
        "createdAt": rfc3339(developer.created_at),
        "lastActiveAt": _time(developer.last_active_at),
        "endedAt": _time(developer.ended_at),
        "organization": {"id": organization.id, "name": organization.name, "isVerified": organization.is_verified},
        "apiKeys": [_api_key(one) for one in api_keys_for_developer(developer)],
    }


def _invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "email": invitation.email,
        "role": invitation.role,
        "status": invitation.status_at(clock.now()),
        "organization": {"id": invitation.organization_id, "name": invitation.organization.name},
        "createdAt": rfc3339(invitation.created_at),
        "expiresAt": rfc3339(invitation.expires_at),
    }


def _api_key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "hint": str(key),
        "createdAt": rfc3339(key.created_at),
        "lastUsedAt": _time(key.last_used_at),
        "expiresAt": _time(key.expires_at),
    }


def _session(one: LiveSession) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": "browser" if one.is_browser else "api",
        "userAgent": one.user_agent,
        "ip": one.ip,
        "startedAt": _time(one.started_at),
        "lastSeenAt": _time(one.seen_at),
        "expiresAt": rfc3339(one.expires_at),
    }


def _connection(consent: Consent) -> dict[str, Any]:
    return {
        "id": consent.id,
        "status": consent.status,
        "agent": {"id": consent.agent_id, "name": consent.agent.name},
        "reason": consent.reason,
        "scopes": [{"id": scope.id, "title": scope.title} for scope in agreed_scopes(consent)],
        "terms": consent.terms,
        "delegation": consent.delegation,
        **_times(consent),
    }


def _delegation(delegation: Delegation) -> dict[str, Any]:
    giver, receiver = delegation.from_agent, delegation.to_agent
    return {
        "id": delegation.id,
        "parentId": delegation.parent_id,
        "connectionId": delegation.consent_id,
        "from": {"id": giver.id, "name": giver.name},
        "to": {"id": receiver.id, "name": receiver.name},
        "scopes": delegation.scopes,
        "targets": delegation.targets,
        "limits": delegation.limits,
        "task": delegation.task,
        "createdAt": rfc3339(delegation.created_at),
        "redeemedAt": _time(delegation.redeemed_at),
        "endedAt": _time(delegation.ended_at),
        "expiresAt": rfc3339(delegation.expires_at),
    }


def _approval(approval: Approval) -> dict[str, Any]:
    return {
        "id": approval.id,
        "status": approval.status,
        "agentId": approval.agent_id,
        "chain": [{"agentId": agent, "delegationId": delegation} for agent, delegation in approval.chain or ()],
        "scopes": approval.scopes,
        "action": approval.action,
        "resource": approval.resource,
        "serverId": approval.server_id,
        "namedServerId": approval.named_server_id,
        "audience": approval.audience,
        "context": approval.context,
        **_times(approval),
    }


def _times(asked: Consent | Approval) -> dict[str, str | None]:
    return {
        "createdAt": rfc3339(asked.created_at),
        "decidedAt": _time(asked.decided_at),
        "expiresAt": rfc3339(asked.expires_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
