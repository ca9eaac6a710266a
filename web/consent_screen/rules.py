"""The rules of the developer that the consent screen lists."""

from typing import Any

from agents.models import Agent
from policies.rules import sentences
from policies.selectors import policies_in_force

MAX_POLICIES = 50


def developers_rules(agent: Agent) -> dict[str, Any]:
    """Return the rules of the agent's organization in words, and whether there are more policies than the page reads.

    They may change, so they are not part of the consent.
    """
    if agent.organization_id is None:
        return {}
    found = policies_in_force(agent.organization_id, agent.id)[: MAX_POLICIES + 1]
    said = dict.fromkeys(sentence for policy in found[:MAX_POLICIES] for sentence in sentences(policy.rules))
    return {"rules": list(said), "has_more_rules": len(found) > MAX_POLICIES}
