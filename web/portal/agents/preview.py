"""A preview of an agent's consent screen while the developer fills in the form, made from the real one's parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from agents.models import Agent
from agents.redirects import problem_with
from core.links import problem_with_link
from core.text import plain_text
from developers.models import Organization
from resources.actions import action_title
from web.portal.agents.forms import MAX_DESCRIPTION, MAX_NAME
from web.user.consent.facts import facts_of
from web.user.consent.form import Choice
from web.user.consent.rehearsal import Answered, Request, show_screen
from web.user.consent.sections import Group, Section

# With all scopes, the page would be too heavy.
ENOUGH = 18
# Stand in for the permissions until a scope is chosen.
SAMPLES = ("email:read", "calendar:read")
# Agents that are not registered yet share a mark.
NEW = {"id": "agt_" + "0" * 32}


def preview(organization: Organization, draft: Mapping[str, Any], saved: Agent | None = None) -> dict[str, Any]:
    """Return the context of the consent screen. `draft` has the fields of the form, which may be incomplete or invalid.

    The logo is the `saved` agent's, because a new address is fetched only when the form is saved.
    """
    name = plain_text(draft.get("name"))[:MAX_NAME]
    uris = [uri for uri in _lines(draft.get("redirect_uris")) if problem_with(uri) is None]
    agent = Agent(
        **({"id": saved.id, "logo_digest": saved.logo_digest} if saved else NEW),
        organization=organization,
        name=name or _("Your agent"),
        description=plain_text(draft.get("description"))[:MAX_DESCRIPTION],
        homepage_url=_link(draft.get("homepage_url")),
        privacy_url=_link(draft.get("privacy_url")),
        redirect_uris=" ".join(uris),
        allowed_scopes=list(draft.get("allowed_scopes") or ()),
    )
    screen = Request.of(agent, QueryDict()).screen()
    shown = {**facts_of(screen), **show_screen(screen, Answered())}
    sections = list(_first(shown["sections"]))
    return {
        **shown,
        "sections": sections,
        "samples": list(map(action_title, SAMPLES)),
        "left_out": _count(shown["sections"]) - _count(sections),
        "destination": shown["destination"] or _("the redirect URI"),
    }


def _link(value: Any) -> str:
    url = plain_text(value)
    return url if url and problem_with_link(url) is None else ""


def _lines(value: Any) -> Sequence[str]:
    return str(value).splitlines() if isinstance(value, str) else list(value or ())


def _first(sections: Sequence[Section]) -> Iterator[Section]:
    """Yield the sections with whole groups, until there are enough permissions."""
    shown = 0
    for section in sections:
        groups = []
        for group in section.groups:
            if shown < ENOUGH:
                groups.append(_group(group))
                shown += len(group.choices)
        if groups:
            yield replace(section, groups=groups)


def _count(sections: Sequence[Section]) -> int:
    return sum(len(group.choices) for section in sections for group in section.groups)


def _group(group: Group) -> Group:
    return replace(group, choices=[_choice(choice) for choice in group.choices])


def _choice(choice: Choice) -> Choice:
    """Leave out the limits and their buttons: there are many, and a preview cannot set any."""
    return replace(choice, limits=None, can_open=False, is_first=False)
