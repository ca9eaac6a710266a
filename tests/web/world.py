"""People, developers, agents and requests for consent, all made by the services."""

from typing import Any

from django.test import Client

from accounts.models import User
from accounts.services import register_user
from agents.models import Agent
from agents.services import register_agent
from consent.approval import approve_consent
from consent.connections import Choice
from consent.models import Consent
from consent.services import ConsentRequest, request_consent
from core.actor import Actor
from developers.acting import as_developer
from developers.models import Developer
from developers.services import become_developer

PASSWORD = "a-long-enough-passphrase"
CALLBACK = "https://smartmail.example/callback"
SCOPES = ["email:read", "email:send", "calendar:freebusy", "payments:charge", "profile:read"]
ANYBODY = Actor("anonymous", ip="203.0.113.7", user_agent="tests/1.0")


def as_user(user: User) -> Actor:
    return ANYBODY.acting_as("user", user.id)


def make_developer(email: str, organization: str) -> Developer:
    user = make_user(email)
    return become_developer(actor=ANYBODY, user=user, name=organization).developer


def make_agent(developer: Developer, **fields: Any) -> Agent:
    fields = {"name": "SmartMail", "redirect_uris": [CALLBACK], "allowed_scopes": SCOPES, **fields}
    actor = as_developer(ANYBODY, developer)
    return register_agent(actor=actor, organization=developer.organization, **fields).agent


def ask(agent: Agent, **fields: Any) -> Consent:
    """Let the agent ask for consent."""
    fields = {"scopes": ["email:read", "email:send"], "redirect_uri": CALLBACK, **fields}
    return request_consent(actor=ANYBODY, agent=agent, request=ConsentRequest(**fields))


def allow(consent: Consent, user: User, scopes: list[str] | None = None) -> Consent:
    """Let the person allow it."""
    return approve_consent(actor=as_user(user), consent=consent, user=user, choice=Choice(scopes=scopes)).consent


def make_user(email: str, name: str = "") -> User:
    return register_user(actor=ANYBODY, email=email, password=PASSWORD, name=name)


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
