"""The pages. Paths have no trailing slash, except the portal's overview."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from web.ids import IdConverter
from web.views import (
    account,
    activity,
    activity_export,
    approval,
    approvals,
    connections,
    consent,
    disputes,
    documentation,
    erasure,
    own_data,
    pausing,
    public,
    scopes,
    security,
    sessions,
    styleguide,
)
from web.views.developer import (
    agent_stops,
    agent_users,
    agents,
    credentials,
    keys,
    log_export,
    log_views,
    logs,
    overview,
    own_scopes,
    policies,
    policy_backtests,
    policy_history,
    policy_simulator,
    resource_servers,
    sandbox,
)
from web.views.rules import accept as accept_rule

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
    path("docs/adr/<id:number>", documentation.decision, name="decision"),
    path("docs/api-reference", documentation.reference, name="api-reference"),
    path("docs/api-reference/<id:operation_id>", documentation.operation, name="operation"),
    path("docs/<id:name>", documentation.page, name="docs-page"),
    path("security", documentation.security, name="security-policy"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
    path("styleguide/<id:name>", styleguide.layout, name="styleguide-layout"),
    path("consent/<id:consent_id>", consent.consent, name="consent"),
    path("dashboard", connections.dashboard, name="dashboard"),
    path("connections", connections.connections, name="connections"),
    path("connections/agents/pause", pausing.pause_all, name="pause-all"),
    path("connections/agents/resume", pausing.resume_all, name="resume-all"),
    path("connections/<id:consent_id>", connections.connection, name="connection"),
    path("connections/<id:consent_id>/pause", pausing.pause, name="pause"),
    path("connections/<id:consent_id>/resume", pausing.resume, name="resume"),
    path("connections/<id:consent_id>/revoke", connections.revoke, name="revoke"),
    path("approvals", approvals.approvals, name="approvals"),
    path("approvals/held/deny", approvals.deny_batch, name="approvals-deny"),
    path("approvals/rules", accept_rule, name="approval-rules"),
    path("approvals/<id:approval_id>", approval.approval, name="approval"),
    path("approvals/<id:approval_id>/revoke", approval.revoke, name="approval-revoke"),
    path("activity", activity.activity, name="activity"),
    path("activity/audit", activity.activity, {"kind": "audit"}, name="activity-audit"),
    path("activity.csv", activity_export.export, {"format_name": "csv"}, name="activity-csv"),
    path("activity.json", activity_export.export, {"format_name": "json"}, name="activity-json"),
    path("activity/<id:entry_id>", activity.entry, name="entry"),
    path("activity/<id:entry_id>/dispute", disputes.dispute, name="dispute"),
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
    path("account/data", own_data.own_data, name="own-data"),
    path("account/data/export", own_data.export, name="own-data-export"),
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
    path("developer/agents/<id:agent_id>/try", sandbox.consent, name="agent-try"),
    path("developer/agents/<id:agent_id>/try/<id:trial_id>", sandbox.trial, name="agent-trial"),
    path("developer/agents/<id:agent_id>/delete", agent_stops.delete, name="agent-delete"),
    path("developer/policies", policies.policies, name="policies"),
    path("developer/policies/new", policies.create, name="policy-new"),
    path("developer/policies/simulator", policy_simulator.simulate, name="simulator"),
    path("developer/policies/backtests/<id:backtest_id>", policy_backtests.result, name="backtest"),
    path("developer/policies/<id:policy_id>/backtest", policy_backtests.backtest, name="policy-backtest"),
    path("developer/policies/<id:policy_id>/simulate", policy_simulator.simulate, name="policy-simulate"),
    path("developer/policies/<id:policy_id>", policies.detail, name="policy"),
    path("developer/policies/<id:policy_id>/edit", policies.edit, name="policy-edit"),
    path("developer/policies/<id:policy_id>/history", policy_history.history, name="policy-history"),
    path(
        "developer/policies/<id:policy_id>/history/<id:number>/restore", policy_history.restore, name="policy-restore"
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
    path("developer/logs", logs.logs, name="logs"),
    path("developer/logs/new", logs.news, name="logs-news"),
    path("developer/logs/views", log_views.views, name="log-views"),
    path("developer/logs/views/<id:view_id>/rename", log_views.rename, name="log-view-rename"),
    path("developer/logs/views/<id:view_id>/delete", log_views.delete, name="log-view-delete"),
    path("developer/logs.csv", log_export.export, {"format_name": "csv"}, name="logs-csv"),
    path("developer/logs.json", log_export.export, {"format_name": "json"}, name="logs-json"),
    path("developer/logs/<id:entry_id>", logs.entry, name="log-entry"),
    path("developer/audit", logs.earlier_path, name="audit"),
    path("developer/api-keys", keys.api_keys, name="api-keys"),
]
