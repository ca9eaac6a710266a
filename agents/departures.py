"""The secrets that a member made, and so saw, and their rotation when the member leaves.

The end of a membership ends its API keys, but not these: programs of the organization use them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from agents.client_secrets import rotate_client_secret
from agents.models import ClientSecret
from agents.services import lock_own_agent, record_agent
from audit.events import Event
from core import clock
from core.actor import Actor
from core.errors import DomainError
from core.locks import revocation
from core.rotation import live
from developers.acting import hold_developer, require_recent_session
from developers.credential_mails import Made
from developers.models import Developer
from developers.roles import Right, require
from resources.models import ResourceServerSecret
from resources.services import rotate_resource_server_secret

# The most of each kind that are listed, and rotated at once.
MAX_LISTED = 100


@dataclass(frozen=True, slots=True)
class MadeSecrets:
    """The secrets that still work, newest first. There are more if not `is_complete`."""

    client_secrets: list[ClientSecret]
    server_secrets: list[ResourceServerSecret]

    @property
    def is_complete(self) -> bool:
        return max(len(self.client_secrets), len(self.server_secrets)) < MAX_LISTED

    def __len__(self) -> int:
        return len(self.client_secrets) + len(self.server_secrets)


@dataclass(frozen=True, slots=True)
class RotatedSecret:
    """A new secret of an agent or resource server, by its `owner`. Without a `value`, `problem` says why not."""

    made: Made
    owner_id: str
    owner: str
    name: str
    value: str = field(default="", repr=False)
    previous_expires_at: datetime | None = None
    problem: str = ""


def secrets_made_by(member: Developer) -> MadeSecrets:
    """Return the client and resource server secrets that the member, also a past one, made and that still work."""
    clients = ClientSecret.objects.filter(live(clock.now()), made_by=member, agent__deleted_at=None)
    servers = ResourceServerSecret.objects.filter(live(clock.now()), made_by=member)
    return MadeSecrets(
        list(clients.select_related("agent").order_by("-id")[:MAX_LISTED]),
        list(servers.select_related("resource_server").order_by("-id")[:MAX_LISTED]),
    )


def rotate_secrets_of(*, actor: Actor, member: Developer, overlap_seconds: int = 0) -> list[RotatedSecret]:
    """Rotate the secrets that a member of the actor's organization made. Return the new ones, which are shown once.

    What the member saw works for another `overlap_seconds`. Each secret is rotated by itself, so the others stay
    rotated if one cannot be. Raises `RoleInsufficient`, and `ReauthenticationRequired` unless the sign-in is recent.
    """
    with transaction.atomic():
        hold_developer(actor)
        require(actor.role, Right.DEVELOP)
        require_recent_session(actor)
        found = secrets_made_by(member)
    return [
        *_rotate_clients(actor, found.client_secrets, overlap_seconds),
        *_rotate_servers(actor, found.server_secrets, overlap_seconds),
    ]


def _rotate_clients(actor: Actor, secrets: list[ClientSecret], overlap_seconds: int) -> Iterator[RotatedSecret]:
    for secret in secrets:
        if secret.is_replaced:
            _shorten(actor, secret, overlap_seconds)
            continue
        agent = secret.agent
        of = Made.CLIENT_SECRET, agent.id, agent.name, secret.name
        try:
            new = rotate_client_secret(actor=actor, agent=agent, overlap_seconds=overlap_seconds, secret_id=secret.id)
            yield RotatedSecret(*of, new.value, new.previous_expires_at)
        except DomainError as error:
            yield RotatedSecret(*of, problem=error.translated)


def _rotate_servers(actor: Actor, secrets: list[ResourceServerSecret], overlap_seconds: int) -> Iterator[RotatedSecret]:
    """Rotate each resource server once, which ends all its earlier secrets."""
    for server in {secret.resource_server_id: secret.resource_server for secret in secrets}.values():
        of = Made.SERVER_SECRET, server.id, server.name, ""
        try:
            new = rotate_resource_server_secret(actor=actor, server=server, overlap_seconds=overlap_seconds)
            yield RotatedSecret(*of, new.value, new.previous_expires_at)
        except DomainError as error:
            yield RotatedSecret(*of, problem=error.translated)


def _shorten(actor: Actor, secret: ClientSecret, overlap_seconds: int) -> None:
    """Let a secret that has a successor work no longer than the overlap."""
    with revocation():
        agent = lock_own_agent(actor, secret.agent)
        end = clock.now() + timedelta(seconds=overlap_seconds)
        if ClientSecret.objects.filter(live(end), pk=secret.pk).update(expires_at=end):
            metadata = {"secretId": secret.id, "name": secret.name, "overlapSeconds": overlap_seconds}
            record_agent(Event.AGENT_SECRET_REVOKED, actor=actor, agent=agent, metadata=metadata)
