"""The pages. Paths without a closing slash, save the portal's first page."""

from django.urls import path

from web.views import account, activity, connections, consent, public
from web.views.developer import agents, audit, keys, overview, policies

app_name = "web"

urlpatterns = [
    path("", public.landing, name="landing"),
    path("scopes", public.scopes, name="scopes"),
    path("consent/<str:consent_id>", consent.consent, name="consent"),
    path("dashboard", connections.dashboard, name="dashboard"),
    path("connections", connections.connections, name="connections"),
    path("connections/<str:consent_id>", connections.connection, name="connection"),
    path("connections/<str:consent_id>/revoke", connections.revoke, name="revoke"),
    path("activity", activity.activity, name="activity"),
    path("account", account.account, name="account"),
    path("account/sessions/<str:session_id>/end", account.end, name="end-session"),
    path("developer/", overview.overview, name="developer"),
    path("developer/agents", agents.agents, name="agents"),
    path("developer/agents/new", agents.create, name="agent-new"),
    path("developer/agents/<str:agent_id>", agents.detail, name="agent"),
    path("developer/agents/<str:agent_id>/edit", agents.edit, name="agent-edit"),
    path("developer/agents/<str:agent_id>/rotate", agents.rotate, name="agent-rotate"),
    path("developer/agents/<str:agent_id>/suspend", agents.suspend, name="agent-suspend"),
    path("developer/agents/<str:agent_id>/reactivate", agents.reactivate, name="agent-reactivate"),
    path("developer/policies", policies.policies, name="policies"),
    path("developer/policies/new", policies.create, name="policy-new"),
    path("developer/policies/<str:policy_id>", policies.detail, name="policy"),
    path("developer/policies/<str:policy_id>/edit", policies.edit, name="policy-edit"),
    path("developer/policies/<str:policy_id>/delete", policies.delete, name="policy-delete"),
    path("developer/audit", audit.audit, name="audit"),
    path("developer/api-keys", keys.api_keys, name="api-keys"),
]
