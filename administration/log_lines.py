"""Log entries in the admin site: who did what to whom, with names and links."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from accounts.models import SessionToken, User
from administration.areas import may_read
from administration.links import row_url
from administration.log_sentence import sentence_about
from agents.models import Agent
from approvals.models import Approval
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.reading import AuditEntry, stated_reason
from audit.readers.reports import withhold_reporter, without_named_reports
from audit.readers.search import Listing
from consent.models import Consent
from core.text import plain_text
from decisions.wording import explain_denial, shown_outcome
from developers.models import ApiKey, Developer, Organization
from policies.models import Policy
from resources.catalogue import Scope, describe_scopes
from resources.models import ResourceServer
from tokens.models import Delegation, TokenFamily

# The outcomes of entries in the log.
OUTCOMES = {
    "allowed": gettext_lazy("Allowed"),
    "denied": gettext_lazy("Denied"),
    "info": gettext_lazy("Recorded"),
}

RECENT = 10
# Further scopes of an entry are only counted.
MOST_SCOPES = 2
# By the prefix of the id: the model, and the lookup of the name.
NAMED: dict[str, tuple[Any, str]] = {
    "agt": (Agent, "name"),
    "org": (Organization, "name"),
    "usr": (User, "email"),
    "dev": (Developer, "user__email"),
    "res": (ResourceServer, "name"),
    "pol": (Policy, "name"),
    "key": (ApiKey, "name"),
}
# What only the page of an entry names or links to. Most have no name, so their ids stand for them.
FURTHER: dict[str, tuple[Any, str]] = {
    "cns": (Consent, "pk"),
    "apr": (Approval, "pk"),
    "fam": (TokenFamily, "pk"),
    "del": (Delegation, "pk"),
    "ses": (SessionToken, "pk"),
}


@dataclass(frozen=True, slots=True)
class Party:
    """A person or a thing that an entry names. `url` is empty if it has no page, or none that may be read."""

    name: str
    url: str
    is_id: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    entry: AuditEntry
    url: str
    sentence: SafeString
    outcome: str
    agent: Party | None
    user: Party | None
    organizations: Sequence[Party]
    why: str
    """The reason for a denial in words, or the concern of a report."""
    stated: str
    """The reason that a person typed, such as an administrator for a stop."""


def recent_lines(request: HttpRequest, criteria: Criteria, limit: int = RECENT) -> list[Line]:
    """Return the newest entries that match."""
    return log_lines(request, Listing(without_named_reports(criteria)).page("", limit)[0])


def log_lines(request: HttpRequest, entries: Sequence[AuditEntry]) -> list[Line]:
    """Return a line for each entry, with the names that the administrator may read, found by one query."""
    shown = [withhold_reporter(entry) for entry in entries]
    names = _names(request, {one for entry in shown for one in _ids(entry)})
    scopes = {one.id: one for one in describe_scopes(one for entry in shown for one in entry.content["scopes"])}
    return [_line(entry, names, scopes) for entry in shown]


def _line(entry: AuditEntry, names: dict[str, str], scopes: Mapping[str, Scope]) -> Line:
    content, metadata = entry.content, entry.content["metadata"]
    return Line(
        entry=entry,
        url=row_url(Entry, entry.id),
        sentence=sentence_about(entry, names, scopes, MOST_SCOPES),
        outcome=shown_outcome(content),
        agent=_party(entry.agent_id, names),
        user=_party(entry.user_id, names),
        organizations=[party for one in entry.organization_ids if (party := _party(one, names))],
        why=explain_denial(content["reason"], metadata).label or content["reason"] or metadata.get("concern", ""),
        stated=stated_reason(content),
    )


def _ids(entry: AuditEntry) -> list[str]:
    content = entry.content
    known = (content["actor"]["id"], entry.agent_id, entry.user_id, content["policyId"], *entry.organization_ids)
    return [one for one in known if one]


def find_parties(request: HttpRequest, ids: Collection[str]) -> dict[str, Party]:
    """Return the ids that belong to rows that the administrator may read, by one query."""
    kinds = NAMED | FURTHER
    names = _names(request, {*ids}, kinds)
    return {pk: Party(name, _url(kinds[_prefix(pk)][0], pk), name == pk) for pk, name in names.items()}


def _party(pk: str | None, names: dict[str, str]) -> Party | None:
    if not pk:
        return None
    if pk not in names:
        return Party(pk, "", is_id=True)
    model, _name = NAMED[_prefix(pk)]
    return Party(names[pk], _url(model, pk))


def _names(request: HttpRequest, ids: set[str], kinds: Mapping[str, tuple[Any, str]] = NAMED) -> dict[str, str]:
    """Return the names of agents, organizations and developers, and the addresses of people, if they may be read."""
    queries = [
        model.objects.filter(pk__in=known).order_by().values_list("pk", name)
        for prefix, (model, name) in kinds.items()
        if (known := [one for one in ids if _prefix(one) == prefix]) and _may_name(request, model)
    ]
    found = queries[0].union(*queries[1:], all=True) if queries else ()
    return {pk: plain_text(name) for pk, name in found if name}


def _may_name(request: HttpRequest, model: Any) -> bool:
    """Return whether the administrator may read the names. API keys have no page, and belong to organizations."""
    return may_read(request, Organization if model is ApiKey else model)


def _url(model: Any, pk: str) -> str:
    return "" if model is ApiKey else row_url(model, pk)


def _prefix(pk: str) -> str:
    return pk.partition("_")[0]
