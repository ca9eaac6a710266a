"""Users, developers, agents, consents, grants and resource servers, all created by the services."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from accounts.passwords import reset_password
from accounts.services import register_user
from agents.models import Agent
from agents.services import register_agent
from consent.connections import Choice
from consent.granting import approve_consent
from consent.models import Consent
from consent.services import ConsentRequest, request_consent
from core import clock
from core.actor import Actor
from core.rotation import add_secret
from core.secrets import digest
from decisions.requests import Credential
from developers.acting import as_developer
from developers.api_keys import use_api_key
from developers.invitations import invite
from developers.models import Developer, Invitation, Organization
from developers.roles import Role
from developers.selectors import memberships_of
from developers.services import become_developer
from resources.custom_scopes import ScopeDefinition
from resources.models import ResourceServer
from resources.services import RegisteredResourceServer, register_resource_server
from tests.constants import CALLBACK, NEW_PASSWORD, PASSWORD
from tokens.delegations import Wanted, create_delegation
from tokens.exchange import exchange_code, redeem_delegation
from tokens.families import family_of
from tokens.issuing import IssuedTokens
from tokens.models import AccessToken, Delegation

AGENT_SCOPES = ["email:read", "email:send", "calendar:freebusy", "payments:charge", "profile:read"]
SERVICE_SCOPES = ["email:read", "email:send", "calendar:freebusy"]
ANONYMOUS = Actor("anonymous", ip="203.0.113.7", user_agent="tests/1.0")


def as_user(user: User) -> Actor:
    return ANONYMOUS.acting_as("user", user.id)


def as_owner(organization: Organization | None) -> Actor:
    """Return the oldest member of the organization as an actor with an API key."""
    assert organization is not None
    return as_developer(ANONYMOUS, organization.developers.earliest("pk"))


def developer_for_api_key(value: str) -> Developer | None:
    """Return the developer whose live API key this is."""
    key = use_api_key(value)
    return key.developer if key else None


def make_developer(email: str, organization: str = "Acme") -> Developer:
    user = make_user(email)
    return become_developer(actor=ANONYMOUS, user=user, name=organization).developer


def make_member(developer: Developer, email: str, role: str) -> Developer:
    """Make a new user a member of the developer's organization."""
    return Developer.objects.create(user=make_user(email), organization=developer.organization, role=role)


def make_agent(developer: Developer, **fields: Any) -> Agent:
    fields = {"name": "SmartMail", "redirect_uris": [CALLBACK], "allowed_scopes": AGENT_SCOPES, **fields}
    actor = as_developer(ANONYMOUS, developer)
    return register_agent(actor=actor, organization=developer.organization, **fields).agent


def ask(agent: Agent, **fields: Any) -> Consent:
    """Request consent for the agent."""
    fields = {"scopes": ["email:read", "email:send"], "redirect_uri": CALLBACK, **fields}
    return request_consent(actor=ANONYMOUS, agent=agent, request=ConsentRequest(**fields))


def allow(consent: Consent, user: User, scopes: list[str] | None = None) -> Consent:
    """Approve the consent as the user, who has just signed in."""
    choice, now = Choice(scopes=scopes), clock.now()
    return approve_consent(actor=as_user(user), consent=consent, user=user, choice=choice, signed_in_at=now).consent


def make_user(email: str, name: str = "") -> User:
    return register_user(actor=ANONYMOUS, email=email, password=PASSWORD, name=name)


def make_verified(email: str) -> User:
    """Return a user who has verified the address."""
    user = make_user(email)
    EmailAddress.objects.filter(user=user).update(verified=True)
    return user


def make_invitation(developer: Developer, email: str, role: Role = Role.DEVELOPER) -> Invitation:
    """Invite as the developer."""
    actor = as_developer(ANONYMOUS, developer)
    return invite(actor=actor, organization=developer.organization, email=email, role=role)


class Browser(Client):
    """The browser of a signed-in user. `home` is the path of the portal about the user's oldest organization.

    It inserts that organization into paths of the portal that name none, so that tests need not.
    """

    home = ""

    def force_login(self, user: Any, backend: str | None = None) -> None:
        super().force_login(user, backend)
        developer = memberships_of(user).first()
        self.home = f"/developer/{developer.organization_id}" if developer else ""

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        return super().generic(method, self.at(str(path)), *args, **kwargs)

    def at(self, path: str) -> str:
        """Return the path, with the organization if it is one of the portal."""
        return re.sub(r"^/developer(?=/(?!org_|new$))", self.home or "/developer", path)


def sign_in(user: User) -> Browser:
    client = Browser()
    client.force_login(user)
    return client


def sign_in_recently(user: User) -> Browser:
    """Return a browser whose user has just entered the password."""
    client = sign_in(user)
    session = client.session
    session["signed_in_at"] = clock.now().timestamp()
    session.save()
    return client


def make_resource_server(
    developer: Developer, identifier: str, *scopes: str | ScopeDefinition, name: str = "Service"
) -> RegisteredResourceServer:
    return register_resource_server(
        actor=ANONYMOUS,
        organization=developer.organization,
        name=name,
        identifier=identifier,
        scopes=scopes or SERVICE_SCOPES,
    )


def make_caller(server: ResourceServer) -> Credential:
    """Return a new credential of the resource server."""
    return Credential(server.id, digest(add_secret(server.secrets, prefix="rs", now=clock.now())))


def mean_for(tokens: QuerySet[AccessToken], server: ResourceServer, *, is_default: bool = False) -> None:
    """Change the audience of the tokens to the resource server and, if wanted, the default one."""
    audience = [*([settings.API_URL] if is_default else []), server.identifier]
    tokens.update(resource=audience, resource_owners={server.identifier: server.organization_id})


@dataclass
class Grant:
    """An approved consent and its first tokens."""

    agent: Agent
    user: User
    consent: Consent
    code: str
    access_token: str
    refresh_token: str


def make_grant(
    *, email: str = "ada@example.com", developer: str = "dev@example.com", scopes: list[str] | None = None
) -> Grant:
    scopes = scopes or ["email:read"]
    agent = make_agent(make_developer(developer, "Acme"), allowed_scopes=list(dict.fromkeys([*AGENT_SCOPES, *scopes])))
    user = make_user(email)
    consent = ask(agent, scopes=scopes)
    approval = approve_consent(actor=as_user(user), consent=consent, user=user, signed_in_at=clock.now())
    issued = exchange_code(actor=ANONYMOUS, agent=agent, code=approval.code)
    assert isinstance(issued, IssuedTokens)
    assert issued.refresh_token
    return Grant(agent, user, approval.consent, approval.code, issued.access_token, issued.refresh_token)


def grant_to(agent: Agent, user: User, scopes: list[str], **fields: Any) -> str:
    """Let the user allow the agent these scopes, and return an access token."""
    consent = ask(agent, scopes=scopes, **fields)
    approval = approve_consent(actor=as_user(user), consent=consent, user=user, signed_in_at=clock.now())
    issued = exchange_code(actor=ANONYMOUS, agent=agent, code=approval.code)
    assert isinstance(issued, IssuedTokens)
    return issued.access_token


def let_delegate(token: str, mode: str = "developer") -> Consent:
    """Let the user of an access token allow its agent to hand work on, and return the consent."""
    family = family_of(token)
    assert family is not None
    assert family.consent_id is not None
    Consent.objects.filter(pk=family.consent_id).update(delegation=mode)
    return Consent.objects.get(pk=family.consent_id)


def hand_over(token: str, to: Agent, scopes: Sequence[str], **wanted: Any) -> tuple[Delegation, IssuedTokens]:
    """Hand work from the agent of an access token to another one, which redeems it at once."""
    family = family_of(token)
    assert family is not None
    agent = family.application
    delegated = create_delegation(
        actor=ANONYMOUS.acting_as("agent", agent.id),
        agent=agent,
        token=token,
        wanted=Wanted(to=to.client_id, scopes=scopes, **wanted),
    )
    issued = redeem_delegation(actor=ANONYMOUS.acting_as("agent", to.id), agent=to, token=delegated.token)
    assert isinstance(issued, IssuedTokens), issued
    return delegated.delegation, issued


def reclaim(user: User) -> None:
    """Reset the password as the owner of the email address, which verifies the address for the first time."""
    reset_password(actor=ANONYMOUS, user=User.objects.get(pk=user.pk), password=NEW_PASSWORD)
