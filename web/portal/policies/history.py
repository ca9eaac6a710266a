"""The history of a policy as its page shows it: who changed what, in words and as a diff."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from agents.selectors import all_agents_of_organization
from core.text import plain_text
from developers.models import Developer
from policies.models import Policy, PolicyVersion
from policies.rules import sentences
from policies.versions import sizes_of
from web.portal.policies.comparing import Difference, Effort, difference
from web.portal.policies.forms import STATUS_NAMES, status_of
from web.user.approvals.diffs import Block
from web.wording.names import names_by_id

PAGE_SIZE = 20
# What the versions of one page have together. A page of so much takes up to 0.1 s if it is all short numbers, and half
# of that otherwise. Two versions with 20 lists of 200 actions have less.
MAX_CHARACTERS = 120_000
NOTHING = Difference()


@dataclass(frozen=True, slots=True)
class Change:
    """One version, with one change or more. `words` says how it differs from the version before, `diff` shows that in
    JSON.

    Both are empty if the versions are too long to be compared. If `is_rough`, `diff` also has lines that have stayed.
    """

    number: int
    at: datetime
    actor: str
    restored_from: int | None
    changes: int
    is_first: bool
    is_current: bool
    is_too_long: bool
    is_rough: bool
    words: Sequence[Block]
    diff: Sequence[Block]


@dataclass(frozen=True, slots=True)
class History:
    """A page of the versions, newest first. `older` is the number of the last one if there are more, else None."""

    changes: Sequence[Change]
    older: int | None


@dataclass(frozen=True, slots=True)
class Texts:
    """What is compared of a version."""

    words: Sequence[str]
    lines: Sequence[str]


def describe_history(policy: Policy, versions: QuerySet[PolicyVersion]) -> History:
    """Return the first page of the versions, newest first: `PAGE_SIZE` of them, or fewer if they are long."""
    sizes = sizes_of(versions[: PAGE_SIZE + 1])
    fitting = sum(total <= MAX_CHARACTERS for total in accumulate(sizes))
    # Each is compared with the one before, so two are read even if they are too long for that.
    read = list(versions[: max(fitting, 2)])
    compared = _compare(policy, read) if fitting >= len(read) else None
    people = _people(read)
    changes = [_describe(policy, read, place, compared, people) for place in range(len(read))]
    if len(read) == len(sizes) <= PAGE_SIZE:
        return History(changes, None)
    return History(changes[:-1], read[-2].number)


def _describe(
    policy: Policy,
    versions: Sequence[PolicyVersion],
    place: int,
    compared: Sequence[tuple[Difference, Difference]] | None,
    people: Mapping[str, str],
) -> Change:
    version, is_first = versions[place], place == len(versions) - 1
    words, diff = (NOTHING, NOTHING) if is_first or compared is None else compared[place]
    return Change(
        number=version.number,
        at=version.created_at,
        actor=_actor(version, people),
        restored_from=version.restored_from,
        changes=1 if is_first else version.number - versions[place + 1].number,
        is_first=is_first,
        is_current=version.number == policy.version,
        is_too_long=compared is None and not is_first,
        is_rough=diff.is_rough,
        words=words.blocks,
        diff=diff.blocks,
    )


def _compare(policy: Policy, versions: Sequence[PolicyVersion]) -> list[tuple[Difference, Difference]]:
    """Return how each version but the last differs from the next one, which is older: in words and in JSON."""
    ids = (one.content.get("agentId") for one in versions)
    agents = names_by_id((all_agents_of_organization(policy.organization_id), ids))
    texts = [Texts(_words(one.content, agents), _lines(one.content)) for one in versions]
    effort = Effort()
    return [
        (difference(old.words, new.words, context=0), difference(old.lines, new.lines, effort=effort))
        for new, old in pairwise(texts)
    ]


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
