"""What the catalogue says that a scope cannot do: verify denies it if another scope of the catalogue covers it."""

import pytest

from accounts.models import User
from agents.models import Agent
from consent.granting import approve_consent
from core import clock
from resources.catalogue import catalogue
from tests.decisions.drivers import Decide, asking
from tests.world import ANONYMOUS, as_user, ask, make_agent, make_developer, make_user
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

pytestmark = pytest.mark.django_db(transaction=True)

# The scope, the words of its "cannot", and the scopes that cover them.
COVERED = {
    "email:read": {"send": ["email:send"], "move or delete mail": ["email:manage"]},
    "email:send": {"read": ["email:read"], "delete mail": ["email:manage"]},
    "email:manage": {"send mail": ["email:send"]},
    "calendar:freebusy": {"see titles, guests or places": ["calendar:read"]},
    "calendar:read": {"add or change events": ["calendar:write"]},
    "github:repo:read": {"change code": ["github:repo:write", "github:pr:merge"]},
    "github:repo:write": {"merge pull requests": ["github:pr:merge"]},
    "github:pr:create": {"merge them": ["github:pr:merge"]},
    "github:issues:write": {"change code": ["github:repo:write", "github:pr:merge"]},
    "crm:contacts:read": {"edit": ["crm:contacts:write"], "contact them": ["email:send", "messaging:send"]},
    "crm:contacts:write": {"contact anyone": ["email:send", "messaging:send"]},
    "crm:deals:read": {"change deals": ["crm:deals:write"]},
    "messaging:read": {"send": ["messaging:send"]},
    "messaging:send": {"read chats": ["messaging:read"]},
    "files:read": {"change": ["files:write"], "delete files": ["files:delete"]},
    "files:write": {"delete": ["files:delete"]},
    "files:delete": {"change": ["files:write"]},
    "db:read": {"change data": ["db:write"]},
    "payments:read": {"pay anyone": ["payments:charge", "shopping:buy"]},
    "slack:read": {"read direct messages": ["messaging:read"], "post": ["slack:send"]},
    "slack:send": {"send direct messages": ["messaging:send"]},
    "notion:read": {"edit": ["notion:write"]},
    "linear:read": {"comment or edit": ["linear:write"]},
    "cloud:read": {"change anything": ["cloud:deploy", "cloud:manage"]},
    "cloud:deploy": {"create, resize or delete resources": ["cloud:manage"]},
    "browser:read": {"click, type": ["browser:act"], "sign in": ["browser:signin"]},
    "browser:act": {"sign in": ["browser:signin"], "pay": ["payments:charge", "shopping:buy"]},
    "social:read": {"read direct messages": ["messaging:read"]},
    "social:post": {"send direct messages": ["messaging:send"]},
    "shopping:cart": {"buy": ["shopping:buy"], "see payment details": ["payments:read"]},
}
# No scope of the catalogue covers what these cannot do, so nothing that verify is asked could allow it.
UNCOVERED = {
    "calendar:write",
    "github:pr:merge",
    "crm:deals:write",
    "db:write",
    "payments:charge",
    "profile:read",
    "profile:write",
    "slack:channels:manage",
    "notion:write",
    "linear:write",
    "cloud:manage",
    "browser:signin",
    "shopping:buy",
    "agents:delegate",
}


def test_the_tables_have_each_scope_of_the_catalogue_and_its_words() -> None:
    scopes = catalogue()
    assert sorted([*COVERED, *UNCOVERED]) == sorted(scopes)
    wrong = [(scope, words) for scope, row in COVERED.items() for words in row if words not in scopes[scope].cannot]
    assert wrong == []


def test_verify_denies_what_a_scope_cannot(decide: Decide) -> None:
    tokens = access_tokens()
    denials = {(scope, other): None for scope, row in COVERED.items() for others in row.values() for other in others}
    own = decide(*(asking(token, scope) for scope, token in tokens.items()))
    assert {each.reason for each in own} <= {None, "approval_required"}, "each token grants its own scope"
    decided = decide(*(asking(tokens[scope], other) for scope, other in denials))
    reasons = dict(zip(denials, (each.reason for each in decided), strict=True))
    assert {pair: reason for pair, reason in reasons.items() if reason != "insufficient_scope"} == {}


def access_tokens() -> dict[str, str]:
    """Return a token for each scope alone. Its agent may ask for everything, so only the grant denies."""
    user, developer = make_user("ada@example.com"), make_developer("dev@example.com")
    everything = list(catalogue())
    agents = {scope: make_agent(developer, name=scope, allowed_scopes=everything) for scope in COVERED}
    return {scope: token_for(scope, agent, user) for scope, agent in agents.items()}


def token_for(scope: str, agent: Agent, user: User) -> str:
    consent = ask(agent, scopes=[scope])
    approved = approve_consent(actor=as_user(user), consent=consent, user=user, signed_in_at=clock.now())
    issued = exchange_code(actor=ANONYMOUS, agent=agent, code=approved.code)
    assert isinstance(issued, IssuedTokens)
    return issued.access_token
