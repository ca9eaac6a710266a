"""The working credentials that were created with a developer's account, so that the owner can end an intruder's.

API keys, client secrets, secrets of resource servers, redirect URIs and open invitations all outlive the session that
created them, and what an API key created outlives the key. So each records its creator and the time. Apps above this
one add further `SOURCES`.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from django.db.models import DateTimeField, F, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat

from accounts.models import User
from accounts.services import hold_account
from agents.models import AddedRedirectUri, Agent, ClientSecret
from agents.redirect_changes import keep_only
from agents.services import record_agent
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import Actor
from core.locks import revocation
from core.rotation import live
from developers.acting import as_developer
from developers.api_keys import owner_of
from developers.credential_mails import Made
from developers.invitations import revoke_invitations
from developers.models import ApiKey, Developer, Invitation
from developers.roles import Right, may
from developers.selectors import memberships_of
from developers.services import record_developer
from resources.models import ResourceServerSecret

MAX_LISTED = 200
INVITATION = "invitation"
REASON = "ended_by_owner"


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential, or an invitation. `owner` is the name of its agent, service or organization, empty for an API key.

    `text` is a hint, a URI or the invited address.
    """

    made: str
    text: str
    name: str
    owner: str
    created_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedList:
    """The newest credentials, and the total number."""

    items: list[Issued]
    total: int


@dataclass(frozen=True, slots=True)
class Source:
    """Something else that members who administer their organization have made and that works.

    `find` returns it by their ids, from a moment on. `list` returns it as `columns` does, and `end` ends it and returns
    the number.
    """

    find: Callable[[Collection[str], datetime], QuerySet[Any]]
    list: Callable[[QuerySet[Any]], QuerySet[Any]]
    end: Callable[[Actor, QuerySet[Any]], int]


SOURCES: list[Source] = []


@dataclass(frozen=True, slots=True)
class _Rows:
    """What members have created since a moment and still works.

    What a member can no longer change is not theirs to end: of those whose role is too low, only their own API keys
    count.
    """

    keys: QuerySet[ApiKey]
    secrets: QuerySet[ClientSecret]
    server_secrets: QuerySet[ResourceServerSecret]
    uris: QuerySet[AddedRedirectUri]
    invitations: QuerySet[Invitation]
    others: list[tuple[Source, QuerySet[Any]]]

    @classmethod
    def of(cls, members: Iterable[Developer], since: datetime) -> "_Rows":
        roles = {member.id: member.role for member in members}
        developers = [member for member, role in roles.items() if may(role, Right.DEVELOP)]
        admins = [member for member, role in roles.items() if may(role, Right.ADMINISTER)]
        owned = Q(developer__in=[*roles]) | Q(developer=None, made_by__in=admins)
        made, works = {"made_by__in": developers, "created_at__gte": since}, live(clock.now())
        return cls(
            keys=ApiKey.objects.filter(works, owned, created_at__gte=since),
            secrets=ClientSecret.objects.filter(works, **made).select_related("agent"),
            server_secrets=ResourceServerSecret.objects.filter(works, **made).select_related("resource_server"),
            uris=AddedRedirectUri.objects.filter(agent__deleted_at=None, **made).select_related("agent"),
            invitations=Invitation.objects.filter(
                works, status="pending", invited_by__in=admins, created_at__gte=since
            ),
            others=[(source, source.find(admins, since)) for source in SOURCES],
        )

    def newest(self, most: int) -> list[Issued]:
        """Return the newest credentials of all kinds, in one query."""
        rows = columns(self.keys, Made.API_KEY, Concat(Value("ag_…"), "last_four"), name="name", used="last_used_at")
        others = (
            columns(
                self.secrets,
                Made.CLIENT_SECRET,
                Concat(Value("ags_…"), "last_four"),
                name="name",
                owner="agent__name",
                used="last_used_at",
            ),
            columns(
                self.server_secrets,
                Made.SERVER_SECRET,
                Concat(Value("rs_…"), "last_four"),
                owner="resource_server__name",
            ),
            columns(self.uris, Made.REDIRECT_URIS, F("uri"), owner="agent__name"),
            columns(self.invitations, INVITATION, F("email"), owner="organization__name"),
            *(source.list(found) for source, found in self.others),
        )
        return [Issued(*row) for row in rows.union(*others, all=True).order_by("-moment")[:most]]

    def count(self) -> int:
        found = self.keys, self.secrets, self.server_secrets, self.uris, self.invitations
        return sum(rows.count() for rows in (*found, *(rows for _, rows in self.others)))


def issued_since(user: User, since: datetime, most: int = MAX_LISTED) -> IssuedList:
    """Return what was created with the user's account at or after `since` and still works, newest first."""
    rows = _Rows.of(memberships_of(user), since)
    items = rows.newest(most)
    return IssuedList(items, len(items) if len(items) < most else rows.count())


def end_issued(*, actor: Actor, user: User, since: datetime) -> int:
    """End what was created with the user's account at or after `since`. Return the number of credentials.

    This requires no recent sign-in because, like a revocation, it only takes access away. Raises `NotAuthenticated` if
    the account has changed.
    """
    with revocation():
        hold_account(user)
        return end_issued_in_revocation(actor=actor, user=user, since=since)


def end_issued_in_revocation(*, actor: Actor, user: User, since: datetime) -> int:
    """Do the same within a revocation that has locked the account. Consents must be locked after this."""
    held = list(memberships_of(user).select_for_update(of=("self",)))
    return sum(_end_of(as_developer(actor, member), member, _Rows.of([member], since)) for member in held)


def _end_of(actor: Actor, member: Developer, rows: _Rows) -> int:
    revoked = revoke_invitations(rows.invitations, actor=actor, now=clock.now())
    ended = _end_keys(actor, member, rows) + _end_server_secrets(actor, rows) + _end_of_agents(actor, rows)
    return revoked + ended + sum(source.end(actor, found) for source, found in rows.others)


def _end_keys(actor: Actor, developer: Developer, rows: _Rows) -> int:
    ended = list(rows.keys)
    rows.keys.update(expires_at=clock.now())
    for key in ended:
        facts = {"keyId": key.id, "name": key.name, **owner_of(key), "reason": REASON}
        record_developer(Event.API_KEY_REVOKED, actor=actor, developer=developer, metadata=facts)
    return len(ended)


def _end_server_secrets(actor: Actor, rows: _Rows) -> int:
    found = list(rows.server_secrets)
    ResourceServerSecret.objects.filter(pk__in=[one.pk for one in found]).update(expires_at=clock.now())
    for server in {one.resource_server for one in found}:
        facts = {"resourceServerId": server.id, "reason": REASON}
        organization_id = server.organization_id
        record(Draft(Event.RESOURCE_SERVER_SECRET_REVOKED, actor, organization_id=organization_id, metadata=facts))
    return len(found)


def _end_of_agents(actor: Actor, rows: _Rows) -> int:
    affected = set(chain(rows.secrets.values_list("agent", flat=True), rows.uris.values_list("agent", flat=True)))
    locked = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=affected).order_by("pk")
    return sum(_end_of_agent(actor, agent, rows) for agent in list(locked))


def _end_of_agent(actor: Actor, agent: Agent, rows: _Rows) -> int:
    secrets = ClientSecret.objects.filter(pk__in=[one.pk for one in rows.secrets.filter(agent=agent)])
    ended = secrets.update(expires_at=clock.now())
    if ended:
        facts: dict[str, Any] = {"secrets": ended, "reason": REASON}
        record_agent(Event.AGENT_SECRET_REVOKED, actor=actor, agent=agent, metadata=facts)
    ends = set(rows.uris.filter(agent=agent).values_list("uri", flat=True))
    dropped = keep_only(agent, [uri for uri in agent.redirect_uri_list if uri not in ends]) if ends else 0
    if dropped:
        facts = {"changed": ["redirect_uris"], "droppedRedirectUris": dropped, "reason": REASON}
        record_agent(Event.AGENT_UPDATED, actor=actor, agent=agent, metadata=facts)
    return ended + dropped


def columns(
    rows: QuerySet[Any],
    made: str,
    text: Any,
    *,
    name: str = "",
    owner: str = "",
    used: str = "",
    at: str = "created_at",
) -> QuerySet[Any]:
    """Return the rows with the fields of `Issued`, whose types are the same for all kinds, for a UNION."""
    united: QuerySet[Any] = (
        rows.order_by()
        .annotate(
            made=Value(str(made), TextField()),
            shown=Cast(text, TextField()),
            label=Cast(name or Value(""), TextField()),
            owner=Cast(owner or Value(""), TextField()),
            moment=F(at),
            used_at=Cast(used or Value(None), DateTimeField()),
        )
        .values_list("made", "shown", "label", "owner", "moment", "used_at")
    )
    return united
