"""Programs that run an agent's first consent, code exchange and verify request, with its real ids.

The secret is not in them. They read it from the environment variable `AGENTGATE_CLIENT_SECRET`. The templates are in
`templates/web/portal/overview/quickstart/`.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from agents.models import Agent
from agents.redirects import is_private_use
from resources.catalogue import catalogue, describe_scopes
from resources.risks import RISK_LEVELS

# The names of programs are the same in every language.
LANGUAGES: Mapping[str, str] = {"curl": "curl", "python": "Python"}
QUOTES: Mapping[str, Callable[[str], str]] = {"curl": shlex.quote, "python": json.dumps}


@dataclass(frozen=True, slots=True)
class Sample:
    """A program in one of `LANGUAGES`.

    With `is_app`, the user returns to an app, so the browser does not show the address that the program asks for.
    """

    language: str
    text: str
    is_app: bool


def sample(agent: Agent, language: str) -> Sample | None:
    """Return the program in a language. None for an agent without scopes or redirect URIs. Raises `KeyError`."""
    scope, redirect_uri = _scope_of(agent), _redirect_uri_of(agent)
    if not scope or not redirect_uri:
        return None
    values = {
        "base_url": settings.API_URL,
        "client_id": agent.client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "other_scope": _other_scope(agent, scope),
    }
    quote = QUOTES[language]
    context: dict[str, Any] = {name: quote(value) for name, value in values.items()}
    context["needs_credential"] = settings.VERIFY_REQUIRES_CREDENTIAL
    text = render_to_string(f"web/portal/overview/quickstart/first_{language}.txt", context)
    return Sample(language, text.strip(), is_private_use(redirect_uri))


def _scope_of(agent: Agent) -> str:
    """Return the scope with the lowest risk, which is least likely to need an approval."""
    found = sorted(describe_scopes(agent.allowed_scopes), key=lambda scope: RISK_LEVELS.index(scope.risk_level))
    return found[0].id if found else ""


def _other_scope(agent: Agent, scope: str) -> str:
    """Return a scope that the program does not ask for, if possible another scope of the agent."""
    return next(one for one in (*agent.allowed_scopes, *catalogue()) if one != scope)


def _redirect_uri_of(agent: Agent) -> str:
    """Return a redirect URI, if possible one that the browser shows in its address bar."""
    return min(agent.redirect_uri_list, key=is_private_use, default="")
