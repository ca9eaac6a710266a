"""Paths below /api/v1/. None ends in a slash."""

from django.urls import path

from api.v1 import agents, audit, consent, developers, health, policies, scopes, tokens, users

urlpatterns = [
    path("developers/register", developers.RegisterDeveloper.as_view()),
    path("developers/login", developers.LogInDeveloper.as_view()),
    path("developers/logout", developers.LogOut.as_view()),
    path("developers/api-keys/rotate", developers.RotateApiKey.as_view()),
    path("agents", agents.Agents.as_view()),
    path("agents/<str:agent_id>", agents.OneAgent.as_view()),
    path("agents/<str:agent_id>/rotate-secret", agents.RotateClientSecret.as_view()),
    path("consent/initiate", consent.Initiate.as_view()),
    path("consent/<str:consent_id>", consent.OneConsent.as_view()),
    path("consent/<str:consent_id>/approve", consent.Approve.as_view()),
    path("consent/<str:consent_id>/deny", consent.Deny.as_view()),
    path("tokens/exchange", tokens.Exchange.as_view()),
    path("tokens/refresh", tokens.Refresh.as_view()),
    path("tokens/revoke", tokens.Revoke.as_view()),
    path("tokens/verify", tokens.Verify.as_view()),
    path("tokens/verify/batch", tokens.VerifyBatch.as_view()),
    path("users/register", users.RegisterUser.as_view()),
    path("users/login", users.LogInUser.as_view()),
    path("users/logout", developers.LogOut.as_view()),
    path("users/<str:user_id>/consents", users.Consents.as_view()),
    path("users/<str:user_id>/consents/<str:consent_id>/revoke", users.RevokeConsent.as_view()),
    path("users/<str:user_id>/audit-logs", users.OwnAuditLogs.as_view()),
    path("policies", policies.Policies.as_view()),
    path("policies/<str:policy_id>", policies.OnePolicy.as_view()),
    path("scopes", scopes.Scopes.as_view()),
    path("scopes/<str:category>", scopes.ScopesInCategory.as_view()),
    path("audit", audit.Audit.as_view()),
    path("health", health.Health.as_view()),
]
