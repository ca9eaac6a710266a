"""What emails say about agents: who one is, and what it may do."""

from accounts.mail_text import Foreign
from accounts.mails import AskingAgent, Item, Risk
from agents.models import Agent
from core.marks import COLORS, tint
from resources.catalogue import catalogue, local_title
from resources.risks import RISK_LEVELS, RISK_WORDS


def asking_agent(agent: Agent) -> AskingAgent:
    """Return the agent with its developer as they are now."""
    owner = agent.organization
    developer, domain = (owner.name, owner.domain or "") if owner else ("", "")
    is_verified = owner is not None and owner.is_verified
    return AskingAgent(Foreign(agent.name), COLORS[tint(agent.id)], Foreign(developer), Foreign(domain), is_verified)


def risk_of(level: str) -> Risk:
    return Risk(RISK_LEVELS.index(level) + 1, level, str(RISK_WORDS[level]))


def permission(scope_id: str, title: str, risk_level: str) -> Item:
    """Return a permission with the title that the user was shown."""
    return Item(title_of(scope_id, title), risk_of(risk_level))


def title_of(scope_id: str, title: str) -> str:
    """Return the title in the reader's language if it is the catalogue's. An organization wrote any other."""
    known = catalogue().get(scope_id)
    return local_title(title) if known and known.title == title else Foreign(title)
