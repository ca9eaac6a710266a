"""What the pages of a user's history show."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

from django.db import transaction
from django.test import Client

from accounts.models import User
from agents.models import Agent
from audit.entries.drafts import Draft
from audit.events import Event
from audit.selectors import entries_for_user
from audit.services import record
from core.actor import Actor


def say_about(agent: Agent, user: User) -> Callable[..., str]:
    """Return a function that writes an entry about the user and the agent and returns its id."""

    def write(event: Event = Event.TOKEN_VERIFY, **fields: Any) -> str:
        with transaction.atomic():
            about = {"agent_id": agent.id, "user_id": user.id, "organization_id": agent.organization_id}
            return record(Draft(**{"event": event, "actor": Actor("service"), **about, **fields}))

    return write


def words_of(client: Client, path: str = "/activity", **query: str) -> str:
    """Return the text of the page's main part, without the filters, and in one line."""
    response = client.get(path, query)
    assert response.status_code == 200
    main = re.search("<main.*</main>", response.content.decode(), re.DOTALL)
    assert main is not None
    text = main[0]
    for hidden in ("svg", "nav", 'details class="disclosure sift'):
        text = re.sub(f"<{hidden}.*?</{hidden.split()[0]}>", "", text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", re.sub(r"<(li|h\d|p|div|dt|dd)", r" <\1", text))).split())


def shown_entries(client: Client, path: str = "/activity", **query: str) -> dict[str, str]:
    """Return the event of each entry on the page, by id, in order."""
    user_id = client.session["_auth_user_id"]
    events = {entry.id: entry.event for entry in entries_for_user(user_id)}
    page = client.get(path, query).content.decode()
    return {entry_id: events[entry_id] for entry_id in re.findall('data-entry="([^"]+)"', page)}
