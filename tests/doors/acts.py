"""Every act that a person can do, and every door to it: pages, and endpoints with each credential that they take.

The doors of an act ask for the same step-up, write the same entry and send the same mail. `test_acts.py` tries each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Credential = Literal["cookie", "session token", "API key"]
SESSIONS: tuple[Credential, ...] = ("cookie", "session token")
DEVELOPER: tuple[Credential, ...] = (*SESSIONS, "API key")


@dataclass(frozen=True)
class Door:
    """A path with names of `Scene.ids`. A page has a form, and an endpoint JSON. Endpoints are below /api/v1."""

    method: str
    path: str
    sent: Mapping[str, Any] = field(default_factory=dict)
    credentials: tuple[Credential, ...] = ("cookie",)
    is_page: bool = False

    def __str__(self) -> str:
        return f"{self.method} {'' if self.is_page else '/api/v1'}{self.path}"


@dataclass(frozen=True)
class Act:
    """What is done. With `steps_up`, a session needs a recent sign-in. The log gets `entries` entries of the `event`.

    `mail` is the notice that the owner gets of what a session does. What an API key does is not mailed. `before` is
    what has to be done first, a method of `Scene`.
    """

    name: str
    event: str
    doors: tuple[Door, ...]
    steps_up: bool = False
    mail: str = ""
    before: str = ""
    entries: int = 1


def page(path: str, **form: Any) -> Door:
    return Door("POST", path, form, is_page=True)


def developers(method: str, path: str, **body: Any) -> Door:
    return Door(method, path, body, credentials=DEVELOPER)


URI = "https://evil.example/callback"
# An address, so that no name is looked up.
RECEIVER = "https://93.184.215.14/in"
SCOPES = ["email:read"]


def credential(name: str, event: str, *doors: Door) -> Act:
    """Return an act that makes what outlives the session."""
    return Act(name, event, doors, steps_up=True, mail="credential_made")


CREDENTIALS = (
    credential(
        "create an API key",
        "api_key.created",
        page("/developer/{organization}/api-keys", name="laptop"),
        developers("POST", "/developers/api-keys", name="laptop"),
        Door("POST", "/developers/api-keys", {"name": "ci", "ownedByOrganization": True}, SESSIONS),
    ),
    credential(
        "rotate an API key",
        "api_key.rotated",
        page("/developer/{organization}/api-keys/{key}/rotate", overlap_seconds="3600"),
        developers("POST", "/developers/api-keys/{key}/rotate", overlapSeconds=3600),
        developers("POST", "/developers/api-keys/rotate", overlapSeconds=3600),
    ),
    credential(
        "register an agent",
        "agent.created",
        page("/developer/{organization}/agents/new", name="Bot", redirect_uris=URI, allowed_scopes=SCOPES),
        developers("POST", "/agents", name="Bot", redirectUris=[URI], allowedScopes=SCOPES),
    ),
    credential(
        "add a redirect URI",
        "agent.updated",
        page("/developer/{organization}/agents/{agent}/edit", name="Bot", redirect_uris=URI, allowed_scopes=SCOPES),
        developers("PATCH", "/agents/{agent}", redirectUris=[URI]),
    ),
    credential(
        "create a client secret",
        "agent.secret_created",
        page("/developer/{organization}/agents/{agent}/credentials", name="laptop"),
        developers("POST", "/agents/{agent}/secrets", name="laptop"),
    ),
    credential(
        "rotate a client secret",
        "agent.secret_rotated",
        page("/developer/{organization}/agents/{agent}/credentials/{secret}/rotate", overlap_seconds="3600"),
        developers("POST", "/agents/{agent}/secrets/{secret}/rotate", overlapSeconds=3600),
        developers("POST", "/agents/{agent}/rotate-secret", overlapSeconds=3600),
    ),
    credential(
        "register a resource server",
        "resource_server.created",
        page(
            "/developer/{organization}/resource-servers/new",
            name="Notes",
            identifier="https://notes.example",
            shared=SCOPES,
        ),
        developers("POST", "/resource-servers", name="Notes", identifier="https://notes.example", scopes=SCOPES),
    ),
    credential(
        "rotate a resource server's secret",
        "resource_server.secret_rotated",
        page("/developer/{organization}/resource-servers/{server}/rotate", overlap_seconds="3600"),
        developers("POST", "/resource-servers/{server}/rotate-secret", overlapSeconds=3600),
    ),
    credential(
        "create a webhook",
        "webhook.created",
        page("/developer/{organization}/settings/webhooks/new", url=RECEIVER, reach="all"),
        developers("POST", "/webhooks", url=RECEIVER, types=["webhook.*"]),
    ),
    credential(
        "send a webhook to another URL",
        "webhook.updated",
        page("/developer/{organization}/settings/webhooks/{webhook}/edit", url=RECEIVER, reach="all"),
        developers("PATCH", "/webhooks/{webhook}", url=RECEIVER),
    ),
    credential(
        "rotate the secret of a webhook",
        "webhook.secret_rotated",
        page("/developer/{organization}/settings/webhooks/{webhook}/rotate", overlap_seconds="3600"),
        developers("POST", "/webhooks/{webhook}/rotate-secret", overlapSeconds=3600),
    ),
)


def users(method: str, path: str, **body: Any) -> Door:
    return Door(method, path, body, credentials=SESSIONS)


DOWNLOADS = (
    Act("download one's data", "user.data_exported", (page("/account/data/export"),), steps_up=True),
    Act(
        "download one's log",
        "audit.exported",
        (page("/activity.csv"), page("/activity.json"), users("GET", "/users/me/audit-export")),
        steps_up=True,
    ),
    Act(
        "download the log of a connection",
        "audit.exported",
        (users("GET", "/users/me/consents/{consent}/evidence"),),
        steps_up=True,
    ),
    Act(
        "download the log of an organization",
        "audit.exported",
        (
            page("/developer/{organization}/logs.csv"),
            page("/developer/{organization}/logs.json"),
            developers("GET", "/audit/export"),
        ),
        steps_up=True,
    ),
)
# Pages that ask for the password, and then lead to a download of the API.
LEADS = (
    "/activity/evidence",
    "/connections/{consent}/evidence",
    "/developer/{organization}/logs/evidence",
)

RULES = [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}]
POLICY_FORM = {
    "name": "Mine",
    "status": "enforced",
    "rules-0-type": "action_blocklist",
    "rules-0-actions": "email:send",
}

OF_USERS = (
    Act(
        "grant a critical scope",
        "consent.approved",
        (
            page("/consent/{pending}", decision="allow", scopes=["payments:charge"]),
            users("POST", "/consent/{pending}/approve"),
        ),
        steps_up=True,
        mail="access_granted",
    ),
    Act(
        "deny a request for consent",
        "consent.denied",
        (page("/consent/{pending}", decision="deny"), users("POST", "/consent/{pending}/deny")),
    ),
    Act(
        "approve a critical request",
        "approval.approved",
        (
            page("/approvals/{approval}", decision="once"),
            users("POST", "/approvals/{approval}/approve", **{"for": "once"}),
        ),
        steps_up=True,
    ),
    Act(
        "deny a request",
        "approval.denied",
        (page("/approvals/{approval}", decision="deny"), users("POST", "/approvals/{approval}/deny")),
    ),
    Act(
        "revoke an approval",
        "approval.revoked",
        (page("/approvals/{standing}/revoke"), users("POST", "/approvals/{standing}/revoke")),
    ),
    Act(
        "narrow a connection",
        "consent.narrowed",
        (
            page("/connections/{consent}", **{"change": "scope", "scope": "email:read", "mode-email:read": "ask"}),
            users("PATCH", "/users/me/consents/{consent}", modes={"email:read": "ask"}),
        ),
    ),
    Act(
        "cut off an agent",
        "delegation.ended",
        (page("/connections/delegations/{delegation}/end"),),
    ),
    Act(
        "revoke a connection",
        "consent.revoked",
        (page("/connections/{consent}/revoke"), users("POST", "/users/me/consents/{consent}/revoke")),
    ),
    Act(
        "pause an agent",
        "agent.paused",
        (page("/connections/{consent}/pause"), users("POST", "/users/me/consents/{consent}/pause")),
    ),
    Act(
        "resume an agent",
        "agent.resumed",
        (page("/connections/{consent}/resume"), users("POST", "/users/me/consents/{consent}/resume")),
        before="pause",
    ),
    Act(
        "pause all agents",
        "agents.paused",
        (page("/connections/agents/pause"), users("POST", "/users/me/agents/pause")),
    ),
    Act(
        "resume all agents",
        "agents.resumed",
        (page("/connections/agents/resume"), users("POST", "/users/me/agents/resume")),
        before="pause_all",
    ),
    Act(
        "create an organization",
        "organization.created",
        (page("/developer/new", name="Second"), users("POST", "/organizations", name="Second")),
    ),
    Act(
        "accept an invitation",
        "invitation.accepted",
        (page("/invitations/{invitation}", decision="accept"), users("POST", "/invitations/{invitation}/accept")),
    ),
    Act(
        "decline an invitation",
        "invitation.declined",
        (page("/invitations/{invitation}", decision="decline"), users("POST", "/invitations/{invitation}/decline")),
    ),
    Act(
        "leave an organization",
        "member.left",
        (
            page("/account/organizations/{organization}/leave"),
            developers("DELETE", "/organization/members/{own}"),
        ),
        before="share",
    ),
    Act("erase the account", "user.erased", (page("/account/erase", email="dev@example.com"),), steps_up=True),
    Act("change the profile", "user.profile_changed", (page("/account", name="Ada"),)),
    Act("switch mails off", "user.mails_changed", (page("/account/notifications"),), steps_up=True),
    Act(
        "end the credentials of an account",
        "api_key.revoked",
        (page("/account/credentials", since="2026-01-01"),),
        entries=2,
    ),
)

OF_DEVELOPERS = (
    Act(
        "change what the organization says about itself",
        "organization.updated",
        (
            page("/developer/{organization}/settings", name="Acme Incorporated"),
            developers("PATCH", "/organization", name="Acme Incorporated"),
        ),
        steps_up=True,
    ),
    Act(
        "raise a member's role",
        "member.role_changed",
        (
            page("/developer/{organization}/settings/members/{member}/role", role="owner"),
            developers("PATCH", "/organization/members/{member}", role="owner"),
        ),
        steps_up=True,
    ),
    Act(
        "lower a member's role",
        "member.role_changed",
        (
            page("/developer/{organization}/settings/members/{member}/role", role="auditor"),
            developers("PATCH", "/organization/members/{member}", role="auditor"),
        ),
    ),
    Act(
        "invite a member",
        "invitation.created",
        (
            page("/developer/{organization}/settings/members", email="new@example.com", role="auditor"),
            page("/developer/{organization}/settings/invitations/{invited}/resend"),
            developers("POST", "/organization/invitations", email="new@example.com", role="auditor"),
        ),
        steps_up=True,
    ),
    Act(
        "revoke an invitation",
        "invitation.revoked",
        (
            page("/developer/{organization}/settings/invitations/{invited}/revoke"),
            developers("DELETE", "/organization/invitations/{invited}"),
        ),
    ),
    Act(
        "remove a member",
        "member.removed",
        (
            page("/developer/{organization}/settings/members/{member}/remove"),
            developers("DELETE", "/organization/members/{member}"),
        ),
    ),
    Act(
        "stop all agents of the organization",
        "organization.stopped",
        (
            page("/developer/{organization}/settings/stop", reason="A key has leaked."),
            developers("POST", "/organization/stop", reason="A key has leaked."),
        ),
    ),
    Act(
        "lift the organization's own stop",
        "organization.resumed",
        (page("/developer/{organization}/settings/resume"), developers("POST", "/organization/resume")),
        before="stop_organization",
    ),
    Act(
        "delete the organization",
        "organization.deletion_started",
        (
            page("/developer/{organization}/settings/delete", name="Acme"),
            developers("DELETE", "/organization"),
        ),
        steps_up=True,
    ),
    Act(
        "restore the organization",
        "organization.restored",
        (page("/developer/{organization}/settings/restore"), developers("POST", "/organization/restore")),
        before="delete_organization",
    ),
    Act(
        "end a delegation",
        "delegation.ended",
        (
            page("/developer/{organization}/delegations/{delegation}/end"),
            developers("POST", "/delegations/{delegation}/end"),
        ),
    ),
    Act(
        "suspend an agent",
        "agent.suspended",
        (
            page("/developer/{organization}/agents/{agent}/suspend", reason="Odd."),
            developers("PATCH", "/agents/{agent}", status="suspended"),
        ),
    ),
    Act(
        "reactivate an agent",
        "agent.reactivated",
        (
            page("/developer/{organization}/agents/{agent}/reactivate"),
            developers("PATCH", "/agents/{agent}", status="active"),
        ),
        before="suspend",
    ),
    Act(
        "delete an agent", "agent.deleted", (page("/developer/{organization}/agents/{agent}/delete", name="SmartMail"),)
    ),
    Act(
        "revoke an API key",
        "api_key.revoked",
        (page("/developer/{organization}/api-keys/{key}/revoke"), developers("DELETE", "/developers/api-keys/{key}")),
    ),
    Act(
        "revoke a client secret",
        "agent.secret_revoked",
        (
            page("/developer/{organization}/agents/{agent}/credentials/{secret}/revoke"),
            developers("DELETE", "/agents/{agent}/secrets/{secret}"),
        ),
    ),
    Act(
        "switch a webhook off",
        "webhook.updated",
        (
            page("/developer/{organization}/settings/webhooks/{webhook}/switch", enabled="false"),
            developers("PATCH", "/webhooks/{webhook}", enabled=False),
        ),
    ),
    Act(
        "send a test event",
        "webhook.test",
        (
            page("/developer/{organization}/settings/webhooks/{webhook}/test"),
            developers("POST", "/webhooks/{webhook}/test"),
        ),
    ),
    Act(
        "send events again",
        "webhook.replayed",
        (
            page("/developer/{organization}/settings/webhooks/{webhook}/replay", after="0"),
            developers("POST", "/webhooks/{webhook}/replay", after=0),
        ),
    ),
    Act(
        "send an event again",
        "webhook.replayed",
        (
            page("/developer/{organization}/settings/webhooks/{webhook}/deliveries/{delivery}"),
            developers("POST", "/webhooks/{webhook}/deliveries/{delivery}/redeliver"),
        ),
    ),
    Act(
        "delete a webhook",
        "webhook.deleted",
        (
            page("/developer/{organization}/settings/webhooks/{webhook}/delete"),
            developers("DELETE", "/webhooks/{webhook}"),
        ),
    ),
    Act(
        "change a resource server",
        "resource_server.updated",
        (
            page("/developer/{organization}/resource-servers/{server}/edit", name="Notes", shared=SCOPES),
            developers("PATCH", "/resource-servers/{server}", name="Notes"),
        ),
    ),
    Act(
        "delete a resource server",
        "resource_server.deleted",
        (
            page("/developer/{organization}/resource-servers/{server}/delete", name="Service"),
            developers("DELETE", "/resource-servers/{server}"),
        ),
    ),
    Act(
        "create a policy",
        "policy.created",
        (
            page("/developer/{organization}/policies/new", **POLICY_FORM),
            developers("POST", "/policies", name="Mine", rules=RULES),
        ),
    ),
    Act(
        "change a policy",
        "policy.updated",
        (
            page("/developer/{organization}/policies/{policy}/edit", **POLICY_FORM, version="1"),
            page("/developer/{organization}/policies/{policy}/status", status="off"),
            developers("PATCH", "/policies/{policy}", name="Mine"),
        ),
    ),
    Act(
        "delete a policy",
        "policy.deleted",
        (page("/developer/{organization}/policies/{policy}/delete"), developers("DELETE", "/policies/{policy}")),
    ),
)

ACTS = (*CREDENTIALS, *DOWNLOADS, *OF_USERS, *OF_DEVELOPERS)

# Doors to nothing that a person's session could leave behind, by the reason. `test_every_door_is_listed.py` reads it.
OTHERS = {
    "the caller is an agent, a service or anyone, with a credential of its own": {
        "POST /api/v1/consent/initiate",
        "POST /api/v1/delegations",
        "POST /api/v1/tokens/exchange",
        "POST /api/v1/tokens/refresh",
        "POST /api/v1/tokens/revoke",
        "POST /api/v1/tokens/reservations/*/commit",
        "POST /api/v1/tokens/reservations/*/void",
        "POST /api/v1/tokens/verify",
        "POST /api/v1/tokens/verify/batch",
        "GET /api/v1/audit/checkpoint",
        "GET /api/v1/audit/key",
        "GET /api/v1/audit/tile/*",
    },
    "a sign-in, a registration or a sign-out: it proves who the person is, or ends the session": {
        "POST /api/v1/developers/register",
        "POST /api/v1/developers/register/confirm",
        "POST /api/v1/developers/login",
        "POST /api/v1/developers/logout",
        "POST /api/v1/users/register",
        "POST /api/v1/users/register/confirm",
        "POST /api/v1/users/login",
        "POST /api/v1/users/logout",
        "POST /accounts/signup/",
        "POST /accounts/signup/confirm/",
        "POST /accounts/login/",
        "POST /accounts/second-step/",
        "POST /accounts/passkey/options/",
        "POST /accounts/passkey/login/",
        "POST /accounts/passkey/reauthenticate/",
        "POST /accounts/logout/",
        "POST /accounts/reauthenticate/",
        "POST /accounts/password/change/",  # asks for the current password
        "POST /accounts/password/reset/",
        "POST /accounts/password/reset/key/*-*/",
    },
    "it changes only colors (tests/web/public/test_preferences.py)": {"POST /preferences"},
    "a mailed code decides": {
        "POST /api/v1/users/*/email/verification",
        "POST /api/v1/users/*/email/verification/confirm",
        "POST /accounts/email/confirm/",
    },
    "the page has no other door, and tests of its own (second factors, addresses, sessions, reports, rules)": {
        "POST /account/security/passkeys/new",
        "POST /account/security/passkeys/*/remove",
        "POST /account/security/app/new",
        "POST /account/security/app/remove",
        "POST /account/security/codes/new",
        "POST /accounts/email/",
        "POST /account/sessions/others/end",
        "POST /account/sessions/*/end",
        "POST /activity/*/dispute",
        "POST /agents/*/report",
        "POST /approvals/held/deny",
        "POST /approvals/rules",
        "POST /developer/",  # becoming a developer: tests/web/portal/agents/test_developer_agents.py
        "POST /developer/*/resource-servers/*/scopes/new",
        "POST /developer/*/resource-servers/*/scopes/*/edit",
        "POST /developer/*/settings/members/*/secrets",  # tests/agents/test_departures.py
        "POST /developer/*/settings/domain",
        "POST /developer/*/settings/domain/check",
        "POST /developer/*/settings/domain/remove",
        "POST /developer/*/settings/domain/review",
        "POST /developer/*/policies/*/history/*/restore",
    },
    "it computes or keeps a view, and changes nothing that decides": {
        "POST /api/v1/policies/simulate",
        "POST /developer/*/agents/*/try",
    },
}
# What administrators can do in the admin site, by model. All of it needs a reason and a recent sign-in (ADR 55).
ADMINISTRATION = {
    "accounts.user": {"deactivate", "reactivate", "remove_factors", "AccessForm"},
    "auth.group": {"delete", "RoleForm"},
    "agents.agent": {"stop", "lift_stop", "review", "AgentForm"},
    "consent.consent": {"revoke"},
    "developers.organization": {"suspend", "reactivate", "verify", "unverify", "decline"},
    "policies.policy": {"disable", "enable"},
    "tokens.tokenfamily": {"revoke"},
    "tokens.delegation": {"end"},
    "tokens.signingkey": {"rotate"},
}
