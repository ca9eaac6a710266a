"""Authenticate a resource server outside a decision, which checks its own credential (`decisions.callers`)."""

from django.utils.translation import gettext_noop

from core import clock
from core.actor import Actor
from core.errors import NotAuthenticated
from core.rotation import find_live_secret
from limits.throttle import throttle_client_failure
from resources.models import ResourceServer, ResourceServerSecret

WRONG_CREDENTIAL = gettext_noop("Check the ID and the secret of the resource server.")


def authenticate_resource_server(*, actor: Actor, server_id: str, secret: str) -> ResourceServer:
    """Return the resource server with these credentials. Raises `NotAuthenticated`, `Throttled` after many failures.

    It does not check for a suspension of the organization.
    """
    secrets = ResourceServerSecret.objects.select_related("resource_server__organization")
    found = find_live_secret(secrets.filter(resource_server=server_id), secret, clock.now())
    if found is None:
        throttle_client_failure(ip=actor.ip or "", credential_id=server_id)
        raise NotAuthenticated(WRONG_CREDENTIAL)
    server: ResourceServer = found.resource_server
    return server
