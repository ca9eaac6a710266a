"""The pages of the portal, below `/developer/<id of the organization>/`."""

from django.urls import path

from web.portal.agents import credential_views as credentials
from web.portal.agents import stop_views as agent_stops
from web.portal.agents import trial_views as agent_trial
from web.portal.agents import user_views as agent_users
from web.portal.agents import views as agents
from web.portal.analytics import views as analytics
from web.portal.delegations import views as delegations
from web.portal.domain import views as domain
from web.portal.feed import views as feed
from web.portal.keys import views as keys
from web.portal.logs import evidence
from web.portal.logs import exports as log_export
from web.portal.logs import views as logs
from web.portal.members import views as members
from web.portal.organization import stop_views as organization_stops
from web.portal.organization import views as organization
from web.portal.overview import views as overview
from web.portal.policies import editor as policy_editor
from web.portal.policies import history_views as policy_history
from web.portal.policies import views as policies
from web.portal.services import scope_views as own_scopes
from web.portal.services import views as resource_servers
from web.portal.webhooks import delivery_views as deliveries
from web.portal.webhooks import type_views as event_types
from web.portal.webhooks import views as webhooks
from web.requests.ids import register_converters

app_name = "portal"
register_converters()

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("agents", agents.agents, name="agents"),
    path("agents/new", agents.create, name="agent-new"),
    path("agents/<id:agent_id>", agents.detail, name="agent"),
    path("agents/<id:agent_id>/edit", agents.edit, name="agent-edit"),
    path("agents/<id:agent_id>/credentials", credentials.credentials, name="agent-credentials"),
    path("agents/<id:agent_id>/credentials/<id:secret_id>/rotate", credentials.rotate, name="secret-rotate"),
    path("agents/<id:agent_id>/credentials/<id:secret_id>/revoke", credentials.revoke, name="secret-revoke"),
    path("agents/<id:agent_id>/users", agent_users.users, name="agent-users"),
    path("agents/<id:agent_id>/delegations", delegations.of_agent, name="agent-delegations"),
    path("agents/<id:agent_id>/suspend", agent_stops.suspend, name="agent-suspend"),
    path("agents/<id:agent_id>/reactivate", agent_stops.reactivate, name="agent-reactivate"),
    path("agents/<id:agent_id>/quickstart", overview.quickstart, name="agent-quickstart"),
    path("agents/<id:agent_id>/try", agent_trial.trial, name="agent-try"),
    path("agents/<id:agent_id>/delete", agent_stops.delete, name="agent-delete"),
    path("delegations", delegations.delegations, name="delegations"),
    path("delegations/<id:delegation_id>", delegations.detail, name="delegation"),
    path("delegations/<id:delegation_id>/end", delegations.end, name="delegation-end"),
    path("policies", policies.policies, name="policies"),
    path("policies/new", policy_editor.create, name="policy-new"),
    path("policies/<id:policy_id>", policies.detail, name="policy"),
    path("policies/<id:policy_id>/status", policies.set_status, name="policy-status"),
    path("policies/<id:policy_id>/edit", policy_editor.edit, name="policy-edit"),
    path("policies/<id:policy_id>/history", policy_history.history, name="policy-history"),
    path("policies/<id:policy_id>/history/<int:number>/restore", policy_history.restore, name="policy-restore"),
    path("policies/<id:policy_id>/delete", policies.delete, name="policy-delete"),
    path("resource-servers", resource_servers.resource_servers, name="resource-servers"),
    path("resource-servers/new", resource_servers.create, name="resource-server-new"),
    path("resource-servers/<id:server_id>", resource_servers.detail, name="resource-server"),
    path("resource-servers/<id:server_id>/edit", resource_servers.edit, name="resource-server-edit"),
    path("resource-servers/<id:server_id>/rotate", resource_servers.rotate, name="resource-server-rotate"),
    path("resource-servers/<id:server_id>/delete", resource_servers.delete, name="resource-server-delete"),
    path("resource-servers/<id:server_id>/scopes/new", own_scopes.create, name="own-scope-new"),
    path("resource-servers/<id:server_id>/scopes/<scope:scope_id>/edit", own_scopes.edit, name="own-scope-edit"),
    path("analytics", analytics.analytics, name="analytics"),
    path("logs", logs.logs, name="logs"),
    path("logs.csv", log_export.export, {"format_name": "csv"}, name="logs-csv"),
    path("logs.json", log_export.export, {"format_name": "json"}, name="logs-json"),
    path("logs/evidence", evidence.export, name="logs-evidence"),
    path("logs/<id:entry_id>/proof", evidence.proof, name="log-proof"),
    path("logs/<id:entry_id>", logs.entry, name="log-entry"),
    path("settings", organization.organization, name="organization"),
    path("settings/members", members.members, name="members"),
    path("settings/members/<id:member_id>/role", members.role, name="member-role"),
    path("settings/members/<id:member_id>/remove", members.remove, name="member-remove"),
    path("settings/members/<id:member_id>/secrets", members.secrets, name="member-secrets"),
    path("settings/invitations/<id:invitation_id>/resend", members.resend, name="invitation-resend"),
    path("settings/invitations/<id:invitation_id>/revoke", members.revoke, name="invitation-revoke"),
    path("settings/roles", members.rights, name="roles"),
    path("settings/stop", organization_stops.stop, name="organization-stop"),
    path("settings/resume", organization_stops.resume, name="organization-resume"),
    path("settings/delete", organization_stops.delete, name="organization-delete"),
    path("settings/restore", organization_stops.restore, name="organization-restore"),
    path("settings/domain", domain.domain, name="domain"),
    path("settings/domain/check", domain.check, name="domain-check"),
    path("settings/domain/remove", domain.remove, name="domain-remove"),
    path("settings/domain/review", domain.review, name="domain-review"),
    path("settings/webhooks", webhooks.webhooks, name="webhooks"),
    path("settings/webhooks/new", webhooks.create, name="webhook-new"),
    path("settings/webhooks/events", event_types.event_types, name="event-types"),
    path("settings/webhooks/events/<scope:event>", event_types.event_type, name="event-type"),
    path("settings/webhooks/<id:webhook_id>", deliveries.webhook, name="webhook"),
    path("settings/webhooks/<id:webhook_id>/edit", webhooks.edit, name="webhook-edit"),
    path("settings/webhooks/<id:webhook_id>/switch", webhooks.switch, name="webhook-switch"),
    path("settings/webhooks/<id:webhook_id>/test", webhooks.test, name="webhook-test"),
    path("settings/webhooks/<id:webhook_id>/rotate", webhooks.rotate, name="webhook-rotate"),
    path("settings/webhooks/<id:webhook_id>/replay", webhooks.replay_events, name="webhook-replay"),
    path("settings/webhooks/<id:webhook_id>/delete", webhooks.delete, name="webhook-delete"),
    path("settings/webhooks/<id:webhook_id>/deliveries/<id:delivery_id>", deliveries.delivery, name="delivery"),
    path("settings/feed", feed.feed, name="feed"),
    path("api-keys", keys.api_keys, name="api-keys"),
    path("api-keys/<id:key_id>/rotate", keys.rotate, name="api-key-rotate"),
    path("api-keys/<id:key_id>/revoke", keys.revoke, name="api-key-revoke"),
]
