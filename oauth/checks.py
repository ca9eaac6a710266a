"""System checks: the server does not start unless these protections of django-oauth-toolkit are on."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from oauth2_provider.settings import oauth2_settings

PROTECTIONS = (
    "PKCE_REQUIRED",
    "REFRESH_TOKEN_REUSE_PROTECTION",
    "ROTATE_REFRESH_TOKEN",
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT",
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT",
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD",
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED",
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT",
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS",
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE",
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN",
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME",
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING",
)


@register(Tags.security)
def check_protections(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Return an error for each protection that is off."""
    return [
        Error(f'OAUTH2_PROVIDER["{name}"] must be True.', id="oauth.E001")
        for name in PROTECTIONS
        if getattr(oauth2_settings, name) is not True
    ]
