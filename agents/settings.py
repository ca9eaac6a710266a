"""Save what a developer sets about an agent, with its logo."""

from collections.abc import Mapping
from typing import Any

from agents.links import check_links
from agents.logos import fetch_logo, logo_source, remove_logo, save_logo
from agents.models import Agent
from agents.services import update_agent
from core.actor import Actor


def save_settings(
    *,
    actor: Actor,
    agent: Agent,
    changes: Mapping[str, Any],
    logo_url: str | None = None,
    fetches_again: bool = False,
    reason: str = "",
) -> None:
    """Change the given fields as `update_agent` does, and the logo unless `logo_url` is None. An empty URL removes it.

    A picture from a new address, or from the same one with `fetches_again`, is fetched first, so that nothing is saved
    if that fails. Call it outside a transaction: a fetch can take seconds. Raises the errors of `update_agent` and
    `fetch_logo`.
    """
    links = {name: changes[name] for name in ("homepage_url", "privacy_url") if name in changes}
    check_links({**links, "logo_url": logo_url or ""})
    before = "" if logo_url is None else logo_source(agent)
    fetched = fetch_logo(actor=actor, url=logo_url) if logo_url and (fetches_again or logo_url != before) else None
    if changes:
        update_agent(actor=actor, agent=agent, changes=changes, reason=reason)
    if fetched:
        save_logo(actor=actor, agent=agent, logo=fetched)
    elif before and not logo_url:
        remove_logo(actor=actor, agent=agent)
