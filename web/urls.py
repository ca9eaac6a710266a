"""The pages. Paths have no trailing slash, except the portal's overview."""

from django.urls import path

from web.portal import entrance
from web.public import logos, preferences
from web.public.agents import views as public_agents
from web.public.docs import views as documentation
from web.public.landing import views as public
from web.public.scopes import views as scopes
from web.requests.ids import register_converters
from web.user.account import erasure, issued, leaving, security, sessions
from web.user.account import views as account
from web.user.activity import dispute_views as disputes
from web.user.activity import exports as activity_export
from web.user.activity import views as activity
from web.user.approvals import detail_views as approval
from web.user.approvals import views as approvals
from web.user.approvals.rule_views import accept as accept_rule
from web.user.connections import cutting_off, pausing
from web.user.connections import views as connections
from web.user.consent import views as consent
from web.user.invitations import views as invitations

app_name = "web"
register_converters()


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
    path("connections/delegations/<id:delegation_id>/end", cutting_off.cut_off, name="cut-off"),
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
    path("account/organizations/<id:organization_id>/leave", leaving.leave, name="organization-leave"),
    path("account/data", account.own_data, name="own-data"),
    path("account/data/export", account.export_own_data, name="own-data-export"),
    path("account/erase", erasure.erase, name="erase"),
    path("account/erased", erasure.erased, name="erased"),
    path("developer/", entrance.enter, name="developer"),
    path("developer/new", entrance.create, name="organization-new"),
    path("developer/<elsewhere:rest>", entrance.find, name="developer-elsewhere"),
]
