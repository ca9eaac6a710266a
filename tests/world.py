"""A grant from end to end, made by the services."""

from dataclasses import dataclass

from accounts.models import User
from agents.models import Agent
from consent.approval import approve_consent
from consent.models import Consent
from tests.web.world import ANYBODY, as_user, make_agent, make_developer, make_user
from tests.web.world import ask as ask_consent
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

__all__ = ["ANYBODY", "Grant", "make_grant"]


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
    agent = make_agent(make_developer(developer, "Acme"))
    user = make_user(email)
    consent = ask_consent(agent, scopes=scopes or ["email:read"])
    approval = approve_consent(actor=as_user(user), consent=consent, user=user)
    issued = exchange_code(actor=ANYBODY, agent=agent, code=approval.code)
    assert isinstance(issued, IssuedTokens)
    assert issued.refresh_token
    return Grant(agent, user, approval.consent, approval.code, issued.access_token, issued.refresh_token)
