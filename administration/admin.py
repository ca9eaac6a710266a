"""The pages of the admin site, one module per app. This app is listed last, so other apps have registered theirs."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group

from consent.models import AuthorizationCode
from tokens.models import AccessToken, RefreshToken

# Pages of other packages that ours replace, or that administrators do not need.
UNUSED = (AccessToken, AuthorizationCode, RefreshToken, apps.get_model("oauth2_provider", "IDToken"), Authenticator)
admin.site.unregister([*UNUSED, EmailAddress, Group])

from administration import (  # noqa: E402, F401  importing registers them
    accounts,
    agents,
    approvals,
    audit,
    consent,
    delegations,
    developers,
    operations,
    policies,
    resources,
    roles,
    tokens,
)
