"""Tell the owner of an account by email that their session made a credential, which outlives the session."""

from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.account_mails import checks, origin, reset_link
from accounts.mail_text import Foreign
from accounts.mails import Content, Link, Occasion, mail
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
    WEBHOOK = "webhook"
    WEBHOOK_URL = "webhook_url"
    WEBHOOK_SECRET = "webhook_secret"


IN_WORDS = {
    Made.API_KEY: gettext_lazy("An API key was created with your AgentGate account."),
    Made.AGENT: gettext_lazy("An agent with a client secret was registered with your AgentGate account."),
    Made.CLIENT_SECRET: gettext_lazy("A client secret of an agent was created with your AgentGate account."),
    Made.REDIRECT_URIS: gettext_lazy(
        "Redirect URIs were added with your AgentGate account. Users' authorization codes can be sent there."
    ),
    Made.RESOURCE_SERVER: gettext_lazy("A resource server with a secret was registered with your AgentGate account."),
    Made.SERVER_SECRET: gettext_lazy("A secret of a resource server was created with your AgentGate account."),
    Made.WEBHOOK: gettext_lazy(
        "A webhook was created with your AgentGate account. Events of your organization are sent to this address."
    ),
    Made.WEBHOOK_URL: gettext_lazy(
        "The address of a webhook was changed with your AgentGate account. Events of your organization are sent there."
    ),
    Made.WEBHOOK_SECRET: gettext_lazy("The secret of a webhook was rotated with your AgentGate account."),
}
MAX_URI = 200


def mail_about_credential(made: Made, *, actor: Actor, name: str = "", uris: tuple[str, ...] = ()) -> None:
    """Mail the acting developer. `name` is the key's, or that of the agent or service.

    What an API key makes is not mailed: programs rotate secrets by the hour.
    """
    if actor.by_session:
        user = Developer.objects.select_related("user").get(pk=actor.id).user
        mail_owner(made, user=user, actor=actor, name=name, uris=uris)


def mail_owner(made: Made, *, user: User, actor: Actor, name: str = "", uris: tuple[str, ...] = ()) -> None:
    facts: dict[str, Any] = {"made": made, "name": name, "uris": uris}
    add_notice("credential_made", user=user, actor=actor, at=clock.now(), facts=facts)


@mail("credential_made")
def credential_made(occasion: Occasion) -> Content:
    made, name, uris = (occasion.facts[key] for key in ("made", "name", "uris"))
    subject = _("A credential was created with your account")
    if made == Made.REDIRECT_URIS:
        subject = _("Redirect URIs were added to one of your agents")
    elif made in (Made.WEBHOOK, Made.WEBHOOK_URL):
        subject = _("A webhook was set up or changed with your account")
    return Content(
        subject=subject,
        intro=[str(IN_WORDS[made])],
        facts=[
            *([(_("Name"), Foreign(name))] if name else []),
            *((_("Redirect URI"), Foreign(uri, most=MAX_URI)) for uri in uris),
            *origin(occasion),
        ],
        call=[
            _("If this was you, you can ignore this email."),
            _("If it was not, reset your password now. Then end what was created: a reset alone does not."),
        ],
        button=reset_link(),
        links=[Link.to(_("See and end what was created with your account"), "web:issued"), *checks()],
    )
