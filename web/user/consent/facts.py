"""What the consent screen says about a request in addition to its scopes: who asks, and whose rules apply."""

from typing import Any

from agents.models import Agent
from agents.redirects import destination, is_loopback, is_private_use
from consent.models import Consent
from consent.shown_services import requested_services
from core.wording import translated
from policies.rules import sentences
from policies.selectors import policies_in_force
from web.user.consent.form import is_verified

MAX_POLICIES = 50


def facts_of(asked: Consent) -> dict[str, Any]:
    """Return the template context about the agent, its developer, and where the user returns to."""
    agent, uri = asked.agent, asked.redirect_uri
    return {
        "agent": agent,
        "organization": agent.organization,
        "services": requested_services(asked),
        "is_developer_verified": is_verified(agent),
        "destination": translated(destination(uri)),
        "is_loopback": is_loopback(uri),
        "is_app": is_private_use(uri),
        **_developers_rules(agent),
    }


def _developers_rules(agent: Agent) -> dict[str, Any]:
    """Return the rules of the agent's organization in words, and whether there are more policies than the page shows.

    They may change, so they are not part of the consent.
    """
    if agent.organization_id is None:
        return {}
    found = policies_in_force(agent.organization_id, agent.id)[: MAX_POLICIES + 1]
    said = dict.fromkeys(sentence for policy in found[:MAX_POLICIES] for sentence in sentences(policy.rules))
    return {"rules": list(said), "has_more_rules": len(found) > MAX_POLICIES}
