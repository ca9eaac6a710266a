"""Write a small database through the services: `python -m tests.upgrades.story KNOWN`, in the environment of a server.

Writes to the file KNOWN what `reading.py` needs, such as the tokens, which the database does not have.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from accounts.second_factors import add_totp, new_secret
from agents.models import Agent
from approvals.models import Approval
from approvals.services import approve_approval
from audit.sequencing.sequencer import sequence
from audit.signing.checkpoints import latest, note_of
from consent.connections import Choice
from consent.granting import approve_consent
from consent.terms import GivenTerms
from core import clock
from decisions.requests import Decision, VerifyRequest
from decisions.services import decide
from developers.acting import as_developer
from developers.api_keys import create_api_key
from developers.models import Developer
from insights.services import count_log
from policies.services import create_policy, update_policy
from resources.custom_scopes import ScopeDefinition
from tests.totp import code_now
from tests.world import ANONYMOUS, as_user, ask, make_agent, make_developer, make_resource_server, make_user
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.refresh import refresh_tokens

SCOPES = ["email:read", "email:send"]
KNOWN = {"verb": "send", "recipient": "bob@example.com", "text": "Hello Bob"}
OTHER = {"verb": "send", "recipient": "eve@example.com", "text": "Hello Eve"}
OWN_SCOPE = ScopeDefinition("acme:archive", "standard", "Archive mail", "move mail to the archive", "delete mail")


def tell() -> dict[str, str]:
    """Do what a small organization and one of its users do, and return what only they know."""
    developer = make_developer("dev@example.com", "Acme")
    make_resource_server(developer, "https://mail.example.com", *SCOPES, OWN_SCOPE)
    agent = make_agent(developer, allowed_scopes=SCOPES)
    _make_policies(developer, agent)
    key = create_api_key(actor=as_user(developer.user), developer=developer, name="deploy")
    ada = make_user("ada@example.com", "Ada")
    secret = new_secret()
    add_totp(actor=as_user(ada), user=ada, secret=secret, code=code_now(secret))
    terms = GivenTerms(modes={"email:send": "ask"}, limits={"email:read": [_at_most(50)]})
    choice, now = Choice(terms=terms, lifetime=timedelta(days=30)), clock.now()
    consent = ask(agent, scopes=SCOPES, reason="To answer mail")
    granted = approve_consent(actor=as_user(ada), consent=consent, user=ada, choice=choice, signed_in_at=now)
    issued = exchange_code(actor=ANONYMOUS, agent=agent, code=granted.code)
    assert isinstance(issued, IssuedTokens)
    tokens = refresh_tokens(actor=ANONYMOUS, agent=agent, refresh_token=str(issued.refresh_token))
    assert isinstance(tokens, IssuedTokens)
    ask(agent, scopes=["email:read"])
    token = tokens.access_token
    _verify(token, "email:read")
    _verify(token, "email:read", action="email:forward")
    known = Approval.objects.get(pk=_verify(token, "email:send", context=KNOWN).approval_id)
    approve_approval(
        actor=as_user(ada), approval=known, user=ada, signed_in_at=now, for_target=True, expires_in_seconds=86_400
    )
    waiting = _verify(token, "email:send", context=OTHER)
    sequence()
    count_log()
    checkpoint = latest()
    assert checkpoint
    _verify(token, "email:read")  # waits in the journal
    return {
        "made_at": clock.rfc3339(clock.now()),
        "user": ada.id,
        "totp": secret,
        "agent": agent.id,
        "api_key": key.value,
        "access_token": token,
        "refresh_token": str(tokens.refresh_token),
        "waiting": str(waiting.approval_id),
        "checkpoint": note_of(checkpoint),
    }


def _at_most(number: int) -> dict[str, Any]:
    return {"type": "rate_limit", "config": {"maxRequests": number, "windowSeconds": 3600, "scope": "per_user"}}


def _make_policies(developer: Developer, agent: Agent) -> None:
    actor, organization = as_developer(ANONYMOUS, developer), developer.organization
    rules = [{"type": "action_blocklist", "config": {"actions": ["email:forward"]}}]
    create_policy(actor=actor, organization=organization, name="No forwarding", rules=rules)
    limit = create_policy(
        actor=actor,
        organization=organization,
        name="Calls",
        agent=agent,
        rules=[_at_most(100)],
    )
    update_policy(actor=actor, policy=limit, changes={"description": "For all users together"})


def _verify(token: str, scope: str, **fields: Any) -> Decision:
    (decision,) = decide([VerifyRequest(token=token, required_scopes=[scope], actor=ANONYMOUS, **fields)])
    return decision


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(tell(), indent=2) + "\n")
