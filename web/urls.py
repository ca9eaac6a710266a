"""The pages. Paths have no trailing slash, except the portal's overview."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from web.portal.agents import credential_views as credentials
from web.portal.agents import stop_views as agent_stops
from web.portal.agents import trial_views as agent_trial
from web.portal.agents import user_views as agent_users
from web.portal.agents import views as agents
from web.portal.analytics import views as analytics
from web.portal.domain import views as domain
from web.portal.keys import views as keys
from web.portal.logs import exports as log_export
from web.portal.logs import views as logs
from web.portal.organization import views as organization
from web.portal.overview import views as overview
from web.portal.policies import editor as policy_editor
from web.portal.policies import history_views as policy_history
from web.portal.policies import views as policies
from web.portal.services import scope_views as own_scopes
from web.portal.services import views as resource_servers
from web.public import logos, preferences
from web.public.agents import views as public_agents
from web.public.docs import views as documentation
from web.public.landing import views as public
from web.public.scopes import views as scopes
from web.requests.ids import IdConverter
from web.user.account import erasure, issued, security, sessions
from web.user.account import views as account
from web.user.activity import dispute_views as disputes
from web.user.activity import exports as activity_export
from web.user.activity import views as activity
from web.user.approvals import detail_views as approval
from web.user.approvals import views as approvals
from web.user.approvals.rule_views import accept as accept_rule
from web.user.connections import pausing
from web.user.connections import views as connections
from web.user.consent import views as consent
from web.user.invitations import views as invitations

app_name = "web"


class ScopeConverter(StringConverter):
    """Match only strings that can be ids of scopes."""

    regex = "[a-z][a-z0-9_.:-]{1,99}"


register_converter(IdConverter, "id")
register_converter(ScopeConverter, "scope")

urlpatterns = [
    path("", public.landing, name="landing"),
    path("scopes", scopes.scopes, name="scopes"),
    path("scopes/<scope:scope_id>", scopes.scope, name="scope"),
    path("docs", documentation.index, name="docs"),
    path("docs/api-reference", documentation.api_reference, name="api-reference"),
    path("docs/api-reference/<id:operation_id>", documentation.operation, name="operation"),
    path("docs/<path:name>", documentation.page, name="docs-page"),
    path("security", documentation.security, name="security-policy"),
    path("preferences", preferences.choose, name="preferences"),
    path("agents/<id:agent_id>", public_agents.agent, name="public-agent"),
    path("agents/<id:agent_id>/report", public_agents.report, name="agent-report"),
    path("consent/<id:consent_id>", consent.consent, name="consent"),
    path("logos/<id:agent_id>/<id:digest>", logos.logo, name="agent-logo"),
    path("dashboard", connections.dashboard, name="dashboard"),
    path("connections", connections.connections, name="connections"),
    path("connections/agents/pause", pausing.pause_all, name="pause-all"),
    path("connections/agents/resume", pausing.resume_all, name="resume-all"),
    path("connections/<id:consent_id>", connections.connection, name="connection"),
    path("connections/<id:consent_id>/pause", pausing.pause, name="pause"),
    path("connections/<id:consent_id>/resume", pausing.resume, name="resume"),
    path("connections/<id:consent_id>/evidence", activity_export.connection, name="connection-evidence"),
    path("connections/<id:consent_id>/revoke", connections.revoke, name="revoke"),
    path("approvals", approvals.approvals, name="approvals"),
    path("approvals/held/deny", approvals.deny_batch, name="approvals-deny"),
    path("approvals/rules", accept_rule, name="approval-rules"),
    path("approvals/<id:approval_id>", approval.approval, name="approval"),
    path("approvals/<id:approval_id>/revoke", approval.revoke, name="approval-revoke"),
    path("activity", activity.activity, name="activity"),
    path("activity/audit", activity.audit, name="activity-audit"),
    path("activity.csv", activity_export.export, {"format_name": "csv"}, name="activity-csv"),
    path("activity.json", activity_export.export, {"format_name": "json"}, name="activity-json"),
    path("activity/evidence", activity_export.own_log, name="activity-evidence"),
    path("activity/<id:entry_id>", activity.entry, name="entry"),
    path("activity/<id:entry_id>/dispute", disputes.dispute, name="dispute"),
    path("invitations/<id:invitation_id>", invitations.invitation, name="invitation"),
    path("account/security", security.security, name="security"),
    path("account/security/passkeys/new", security.new_passkey, name="passkey-new"),
    path("account/security/passkeys/<id:passkey_id>/remove", security.delete_passkey, name="passkey-remove"),
    path("account/security/app/new", security.new_totp, name="totp-new"),
    path("account/security/app/remove", security.delete_totp, name="totp-remove"),
    path("account/security/codes", security.codes, name="recovery-codes"),
    path("account/security/codes/new", security.new_codes, name="recovery-codes-new"),
    path("account", account.profile, name="account"),
    path("account/notifications", account.notifications, name="notifications"),
    path("account/sessions", sessions.sessions, name="sessions"),
    path("account/sessions/others/end", sessions.end_others, name="end-other-sessions"),
    path("account/sessions/<id:session_id>/end", sessions.end, name="end-session"),
    path("account/credentials", issued.issued, name="issued"),
    path("account/data", account.own_data, name="own-data"),
    path("account/data/export", account.export_own_data, name="own-data-export"),
    path("account/erase", erasure.erase, name="erase"),
    path("account/erased", erasure.erased, name="erased"),
    path("developer/", overview.overview, name="developer"),
    path("developer/agents", agents.agents, name="agents"),
    path("developer/agents/new", agents.create, name="agent-new"),
    path("developer/agents/<id:agent_id>", agents.detail, name="agent"),
    path("developer/agents/<id:agent_id>/edit", agents.edit, name="agent-edit"),
    path("developer/agents/<id:agent_id>/credentials", credentials.credentials, name="agent-credentials"),
    path("developer/agents/<id:agent_id>/credentials/<id:secret_id>/rotate", credentials.rotate, name="secret-rotate"),
    path("developer/agents/<id:agent_id>/credentials/<id:secret_id>/revoke", credentials.revoke, name="secret-revoke"),
    path("developer/agents/<id:agent_id>/users", agent_users.users, name="agent-users"),
    path("developer/agents/<id:agent_id>/suspend", agent_stops.suspend, name="agent-suspend"),
    path("developer/agents/<id:agent_id>/reactivate", agent_stops.reactivate, name="agent-reactivate"),
    path("developer/agents/<id:agent_id>/quickstart", overview.quickstart, name="agent-quickstart"),
    path("developer/agents/<id:agent_id>/try", agent_trial.trial, name="agent-try"),
    path("developer/agents/<id:agent_id>/delete", agent_stops.delete, name="agent-delete"),
    path("developer/policies", policies.policies, name="policies"),
    path("developer/policies/new", policy_editor.create, name="policy-new"),
    path("developer/policies/<id:policy_id>", policies.detail, name="policy"),
    path("developer/policies/<id:policy_id>/status", policies.set_status, name="policy-status"),
    path("developer/policies/<id:policy_id>/edit", policy_editor.edit, name="policy-edit"),
    path("developer/policies/<id:policy_id>/history", policy_history.history, name="policy-history"),
    path(
        "developer/policies/<id:policy_id>/history/<int:number>/restore", policy_history.restore, name="policy-restore"
    ),
    path("developer/policies/<id:policy_id>/delete", policies.delete, name="policy-delete"),
    path("developer/resource-servers", resource_servers.resource_servers, name="resource-servers"),
    path("developer/resource-servers/new", resource_servers.create, name="resource-server-new"),
    path("developer/resource-servers/<id:server_id>", resource_servers.detail, name="resource-server"),
    path("developer/resource-servers/<id:server_id>/edit", resource_servers.edit, name="resource-server-edit"),
    path("developer/resource-servers/<id:server_id>/rotate", resource_servers.rotate, name="resource-server-rotate"),
    path("developer/resource-servers/<id:server_id>/delete", resource_servers.delete, name="resource-server-delete"),
    path("developer/resource-servers/<id:server_id>/scopes/new", own_scopes.create, name="own-scope-new"),
    path(
        "developer/resource-servers/<id:server_id>/scopes/<scope:scope_id>/edit", own_scopes.edit, name="own-scope-edit"
    ),
    path("developer/analytics", analytics.analytics, name="analytics"),
    path("developer/logs", logs.logs, name="logs"),
    path("developer/logs.csv", log_export.export, {"format_name": "csv"}, name="logs-csv"),
    path("developer/logs.json", log_export.export, {"format_name": "json"}, name="logs-json"),
    path("developer/logs/evidence", activity_export.organization, name="logs-evidence"),
    path("developer/logs/<id:entry_id>", logs.entry, name="log-entry"),
    path("developer/settings", organization.organization, name="organization"),
    path("developer/settings/domain", domain.domain, name="domain"),
    path("developer/settings/domain/check", domain.check, name="domain-check"),
    path("developer/settings/domain/remove", domain.remove, name="domain-remove"),
    path("developer/settings/domain/review", domain.review, name="domain-review"),
    path("developer/api-keys", keys.api_keys, name="api-keys"),
    path("developer/api-keys/<id:key_id>/rotate", keys.rotate, name="api-key-rotate"),
    path("developer/api-keys/<id:key_id>/revoke", keys.revoke, name="api-key-revoke"),
]
