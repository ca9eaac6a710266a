"""What the consent screen says about a request in addition to its scopes: who asks, and whose rules apply."""

from collections.abc import Sequence
from typing import Any

from agents.destinations import destination
from agents.redirects import is_loopback, is_private_use
from consent.shown_services import requested_services
from core.text import plain_text
from core.wording import translated
from policies.models import Policy
from policies.rules import sentences
from policies.rules.words import Titles
from resources.actions import titles_for_users
from resources.catalogue import read_snapshot
from web.user.consent.form import MAX_POLICIES, Screen, is_verified


def facts_of(screen: Screen) -> dict[str, Any]:
    """Return the template context about the agent, its developer, and where the user returns to."""
    asked = screen.asked
    agent, uri = asked.agent, asked.redirect_uri
    own = {scope.id: plain_text(scope.title) for scope in read_snapshot(asked.shown_scopes)}
    services = requested_services(asked)
    return {
        "agent": agent,
        "organization": agent.organization,
        "services": services,
        "has_foreign_service": any(service.is_foreign for service in services),
        "is_developer_verified": is_verified(agent),
        "destination": translated(destination(uri)),
        "is_loopback": is_loopback(uri),
        "is_app": is_private_use(uri),
        **_developers_rules(screen.policies, own),
    }


def _developers_rules(policies: Sequence[Policy], own: Titles) -> dict[str, Any]:
    """Return the rules of the agent's organization in words, and whether there are more policies than the page shows.

    `own` are the titles of the permissions on the screen.

    They may change, so they are not part of the consent.
    """
    titles = titles_for_users(own)
    said = dict.fromkeys(sentence for policy in policies[:MAX_POLICIES] for sentence in sentences(policy.rules, titles))
    return {"rules": list(said), "has_more_rules": len(policies) > MAX_POLICIES}
