"""The OAuth endpoints (RFC 6749) and their metadata, at each place where clients look for it."""

from django.urls import path

from oauth.views import authorize, introspect, jwks, metadata, par, register, revoke, token

app_name = "oauth"

urlpatterns = [
    path("oauth/authorize", authorize.authorize, name="authorize"),
    path("oauth/token", token.token, name="token"),
    path("oauth/revoke", revoke.revoke, name="revoke"),
    path("oauth/introspect", introspect.introspect, name="introspect"),
    path("oauth/jwks", jwks.jwks, name="jwks"),
    path("oauth/par", par.par, name="par"),
    path("oauth/register", register.register, name="register"),
    path(".well-known/oauth-authorization-server/oauth", metadata.oauth, name="metadata"),
    path(".well-known/openid-configuration/oauth", metadata.openid, name="metadata-openid"),
    path("oauth/.well-known/openid-configuration", metadata.openid, name="metadata-openid-below"),
]
