"""The OAuth endpoints (RFC 6749), and their metadata at every URL where clients look for it."""

from django.urls import path

from oauth import views

app_name = "oauth"

urlpatterns = [
    path("oauth/authorize", views.authorize, name="authorize"),
    path("oauth/token", views.token, name="token"),
    path("oauth/revoke", views.revoke, name="revoke"),
    path("oauth/introspect", views.introspect, name="introspect"),
    path("oauth/jwks", views.jwks, name="jwks"),
    path("oauth/par", views.par, name="par"),
    path("oauth/register", views.register, name="register"),
    path(".well-known/oauth-authorization-server/oauth", views.oauth_metadata, name="metadata"),
    path(".well-known/openid-configuration/oauth", views.openid_configuration, name="metadata-openid"),
    path("oauth/.well-known/openid-configuration", views.openid_configuration, name="metadata-openid-below"),
]
