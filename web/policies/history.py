"""The history of a policy as its page shows it: who changed what, in words and as a diff."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from itertools import islice, zip_longest
from typing import Any

from django.utils.translation import gettext as _

from agents.selectors import all_agents_of_organization
from core.text import plain_text
from developers.models import Developer
from policies.models import Policy, PolicyVersion
from policies.rules import sentences
from web.approving.diffs import ADDED, REMOVED, SAME, Block, visible_text
from web.forms.policies import STATUS_NAMES, status_of
from web.names import names_by_id

NOTHING: Mapping[str, Any] = {}
CONTEXT = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One version. `words` says how it differs from the version before, `diff` shows that in JSON."""

    number: int
    at: datetime
    actor: str
    restored_from: int | None
    is_first: bool
    is_current: bool
    words: Sequence[Block]
    diff: Sequence[Block]


def describe_history(policy: Policy, versions: Sequence[PolicyVersion], shown: int) -> list[Change]:
    """Return the first `shown` versions, newest first. One more is read, if there is one, to compare with the last."""
    agents = names_by_id(
        (all_agents_of_organization(policy.organization_id), (one.content.get("agentId") for one in versions))
    )
    people = _people(versions)
    return [
        _describe(policy, version, before, agents, people)
        for version, before in islice(zip_longest(versions, versions[1:]), shown)
    ]


def _describe(
    policy: Policy,
    version: PolicyVersion,
    before: PolicyVersion | None,
    agents: Mapping[str, str],
    people: Mapping[str, str],
) -> Change:
    old, new = before.content if before else NOTHING, version.content
    return Change(
        number=version.number,
        at=version.created_at,
        actor=_actor(version, people),
        restored_from=version.restored_from,
        is_first=before is None,
        is_current=version.number == policy.version,
        words=difference(_words(old, agents), _words(new, agents), context=0) if before else (),
        diff=difference(_lines(old), _lines(new)) if before else (),
    )


def difference(old: Sequence[str], new: Sequence[str], context: int = CONTEXT) -> list[Block]:
    """Return what was added and removed, with so many unchanged lines around it. Each line has its sign."""
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [block for group in matcher.get_grouped_opcodes(context) for block in _blocks(group, old, new)]


def _blocks(group: Sequence[Any], old: Sequence[str], new: Sequence[str]) -> Iterator[Block]:
    for tag, old_start, old_end, new_start, new_end in group:
        if tag == "equal":
            yield from _block(SAME, "  ", old[old_start:old_end])
            continue
        yield from _block(REMOVED, "- ", old[old_start:old_end])
        yield from _block(ADDED, "+ ", new[new_start:new_end])


def _block(kind: str, sign: str, lines: Sequence[str]) -> Iterator[Block]:
    if lines:
        yield Block(kind, "\n".join(f"{sign}{visible_text(line)}" for line in lines))


def _words(content: Mapping[str, Any], agents: Mapping[str, str]) -> list[str]:
    agent_id = content["agentId"]
    agent = agents.get(agent_id, agent_id) if agent_id else _("All agents")
    facts = {
        _("Name"): plain_text(content["name"]),
        _("Description"): plain_text(content["description"]),
        _("Applies to"): agent,
        _("Status"): STATUS_NAMES[status_of(enabled=content["enabled"], mode=content["mode"])],
    }
    lines = [_("%(field)s: %(value)s") % {"field": field, "value": value} for field, value in facts.items()]
    return [*lines, *sentences(content["rules"])]


def _lines(content: Mapping[str, Any]) -> list[str]:
    return json.dumps(content, indent=2, ensure_ascii=False).splitlines()


def _people(versions: Sequence[PolicyVersion]) -> dict[str, str]:
    """Return the names of the developers who made the versions, by their ids."""
    ids = {one.actor_id for one in versions if one.actor_kind == "developer"}
    found = Developer.objects.filter(pk__in=ids).select_related("user")
    return {developer.id: plain_text(developer.user.name or developer.user.email) for developer in found}


def _actor(version: PolicyVersion, people: Mapping[str, str]) -> str:
    if version.actor_kind == "developer":
        return people.get(version.actor_id, _("A former developer"))
    if version.actor_kind == "administrator":
        return _("An administrator of AgentGate")
    return _("AgentGate") if version.actor_kind == "system" else _("Unknown")
