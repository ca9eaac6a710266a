"""Tell the owner of an account by email that their session made a credential, which outlives the session."""

from enum import StrEnum
from typing import Any

from accounts.mails import mailed
from accounts.models import User
from accounts.notices import add_notice
from core import clock
from core.actor import Actor
from developers.models import Developer


class Made(StrEnum):
    """What was made."""

    API_KEY = "api_key"
    AGENT = "agent"
    CLIENT_SECRET = "client_secret"
    REDIRECT_URIS = "redirect_uris"
    RESOURCE_SERVER = "resource_server"
    SERVER_SECRET = "server_secret"


def mail_about_credential(made: Made, *, actor: Actor, name: str = "", uris: tuple[str, ...] = ()) -> None:
    """Mail the acting developer. `name` is the key's, or that of the agent or service.

    What an API key makes is not mailed: programs rotate secrets by the hour.
    """
    if actor.by_session:
        user = Developer.objects.select_related("user").get(pk=actor.id).user
        mail_owner(made, user=user, actor=actor, name=name, uris=uris)


def mail_owner(made: Made, *, user: User, actor: Actor, name: str = "", uris: tuple[str, ...] = ()) -> None:
    facts: dict[str, Any] = {"made": made, "name": mailed(name), "uris": [mailed(uri) for uri in uris]}
    add_notice("credential_made", user=user, actor=actor, at=clock.now(), facts=facts)
