"""The page of a log entry: what happened in a sentence, with names and links, and its place in the log."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.log_lines import Party, find_parties
from administration.log_sentence import sentence_about
from administration.rows import STATUSES
from audit.entries.drafts import CALL, REASON, REQUEST_ID
from audit.entries.facets import is_own
from audit.events import Event
from audit.readers.reading import AuditEntry, stated_reason
from audit.signing import checkpoints
from core.text import plain_text, readable_json
from decisions.requests import Reason
from decisions.wording import cause_of, explain_denial, shown_outcome
from policies.rules import title_of
from resources.catalogue import Scope, describe_scopes

AGENT, PERSON, CONSENT = gettext_lazy("Agent"), gettext_lazy("Person"), gettext_lazy("Consent")
POLICY, SERVER = gettext_lazy("Policy"), gettext_lazy("Resource server")
ORGANIZATIONS = gettext_lazy("Organizations")
AGENT_STOPS = frozenset({Event.AGENT_STOPPED, Event.AGENT_STOP_LIFTED})
WORD = re.compile("[A-Z]")
ORGANIZATION_STOPS = frozenset(
    {
        *(Event.ORGANIZATION_SUSPENDED, Event.ORGANIZATION_REACTIVATED),
        *(Event.ORGANIZATION_STOPPED, Event.ORGANIZATION_RESUMED),
        *(Event.ORGANIZATION_DELETION_STARTED, Event.ORGANIZATION_RESTORED),
    }
)
# The personal facts that every administrator needs: where a request came from, an address, and a stated reason.
# Names of members that their words do not explain, and of values.
LABELS = {
    "askedScopes": gettext_lazy("Asked for"),
    "callerIp": gettext_lazy("IP address of the service"),
    "forwardedUserAgent": gettext_lazy("Browser or program of the service"),
    "ip": gettext_lazy("IP address"),
    "missingScopes": gettext_lazy("Not granted"),
    "userAgent": gettext_lazy("Browser or program"),
}
VALUES: Mapping[tuple[str, Any], Any] = {
    ("limitedBy", "user"): gettext_lazy("The user's own limit"),
    ("limitedBy", "delegation"): gettext_lazy("A limit of a delegation"),
    **{("approvalStatus", status): words for status, words in STATUSES.items()},
}
# What other rows of the page say, and what only the whole entry shows.
LEFT_OUT = frozenset({REASON, "indexedScopes", "resourceServerId", "ruleIndex", "ruleType", "tokenId"})
CONTEXT = "context"
SHOWN = frozenset({"ip", "userAgent", "callerIp", "forwardedUserAgent", "email", REASON, REQUEST_ID})


class Subject(NamedTuple):
    """What an entry is about, and the list of all entries about the same. `log_url` is empty if there is none."""

    label: str | Promise
    parties: Sequence[Party]
    log_url: str = ""


class Detail(NamedTuple):
    """A member of the metadata, of the personal data or of a context: a `party`, or a `text`, which can be JSON."""

    label: str | Promise
    party: Party | None
    text: str | Promise
    is_json: bool


@dataclass(frozen=True, slots=True)
class EntryPage:
    """What the page shows. `why` is the reason of this program in words, `stated` the one that a person typed."""

    entry: AuditEntry
    content: Mapping[str, Any]
    sentence: SafeString
    outcome: str
    why: str | Promise
    rule: str
    stated: str
    actor: Party | None
    actor_url: str
    subjects: Sequence[Subject]
    scopes: Sequence[Scope]
    request_url: str
    details: Sequence[Detail]
    personal: Sequence[Detail]
    context: Sequence[Detail]
    checkpoint: Any
    stop_url: str
    whole: str


def withhold_contents(entry: AuditEntry) -> AuditEntry:
    """Return the entry without what users and services said in requests, which only superusers read."""
    parts = {name: part if name == CALL else _shown(name, part) for name, part in entry.personal_parts.items()}
    if CALL in parts:
        parts[CALL] = {name: _shown(name, value) for name, value in parts[CALL].items()}
    return replace(entry, personal_parts=parts)


def read_entry_page(request: HttpRequest, entry: AuditEntry, list_url: str) -> EntryPage:
    """Return what the page of an entry shows. `list_url` is the list of all entries."""
    content, metadata = entry.content, entry.content["metadata"]
    actor_id, request_id = content["actor"]["id"], content["requestId"]
    parties = find_parties(request, [one for one in _ids(entry, content) if isinstance(one, str)])
    scopes = describe_scopes(content["scopes"])
    personal = _personal(entry.personal)
    context = personal.pop(CONTEXT, {})
    if not isinstance(context, Mapping):
        personal, context = {**personal, CONTEXT: context}, {}
    return EntryPage(
        entry=entry,
        content=content,
        sentence=sentence_about(entry, {pk: one.name for pk, one in parties.items()}, {one.id: one for one in scopes}),
        outcome=shown_outcome(content),
        why=explain_denial(content["reason"], metadata).why if content["reason"] in Reason else cause_of(content),
        rule=title_of(metadata["ruleType"]) if metadata.get("ruleType") else "",
        stated=stated_reason(content),
        actor=_party(actor_id, parties) if actor_id else None,
        actor_url=f"{list_url}?{urlencode({'actor': actor_id})}" if actor_id else "",
        subjects=list(_subjects(entry, content, parties, list_url)),
        scopes=scopes,
        request_url=f"{reverse('admin:search')}?q={request_id}" if request_id and is_own(request_id) else "",
        details=_details({name: value for name, value in metadata.items() if name not in LEFT_OUT}, parties),
        personal=_details(personal, parties),
        context=[_detail(plain_text(name), name, value, {}) for name, value in sorted(context.items())],
        stop_url=_stop_url(entry, parties),
        checkpoint=None if entry.index is None else checkpoints.covering(entry.index),
        whole=readable_json({**content, "personal": entry.personal}),
    )


def _stop_url(entry: AuditEntry, parties: Mapping[str, Party]) -> str:
    """Return the proof of the newest stop of what the entry stopped or lets act again. Empty for other entries."""
    agent, organization = entry.agent_id, next(iter(entry.organization_ids), None)
    if entry.event in AGENT_STOPS and agent in parties:
        return reverse("admin:agents_agent_proof", args=[agent])
    if entry.event in ORGANIZATION_STOPS and organization in parties:
        return reverse("admin:developers_organization_proof", args=[organization])
    return ""


def _shown(name: str, value: Any) -> Any:
    return value if name in SHOWN or not value else _("Withheld. Only superusers read what was requested.")


def _ids(entry: AuditEntry, content: Mapping[str, Any]) -> Iterator[Any]:
    yield from (content["actor"]["id"], entry.agent_id, entry.user_id, content["consentId"], content["policyId"])
    yield from entry.organization_ids
    yield from content["metadata"].values()


def _subjects(
    entry: AuditEntry, content: Mapping[str, Any], parties: Mapping[str, Party], list_url: str
) -> Iterator[Subject]:
    for label, pk in ((AGENT, entry.agent_id), (PERSON, entry.user_id), (CONSENT, content["consentId"])):
        if pk:
            yield Subject(label, [_party(pk, parties)], f"{list_url}?{urlencode({'q': pk})}")
    for label, pk in ((POLICY, content["policyId"]), (SERVER, content["metadata"].get("resourceServerId"))):
        if pk:
            yield Subject(label, [_party(pk, parties)])
    if entry.organization_ids:
        yield Subject(ORGANIZATIONS, [_party(pk, parties) for pk in entry.organization_ids])


def _party(pk: str, parties: Mapping[str, Party]) -> Party:
    return parties.get(pk) or Party(pk, "", is_id=True)


def _personal(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the personal data, with an IP address that is in several places once."""
    found = {name: value for name, value in parts.items() if value is not None}
    if found.get("callerIp") == found.get("ip"):
        found.pop("callerIp", None)
    context = found.get(CONTEXT)
    if isinstance(context, Mapping) and context.get("ip") == found.get("ip"):
        found[CONTEXT] = {name: value for name, value in context.items() if name != "ip"}
    return found


def _details(members: Mapping[str, Any], parties: Mapping[str, Party]) -> list[Detail]:
    return [_detail(_label(name), name, value, parties) for name, value in sorted(members.items())]


def _label(name: str) -> str | Promise:
    """Return the name of a member in words: "policyName" is "Policy name"."""
    return LABELS.get(name) or capfirst(WORD.sub(lambda found: f" {found[0].lower()}", name.removesuffix("Id")))


def _detail(label: str | Promise, name: str, value: Any, parties: Mapping[str, Party]) -> Detail:
    is_text = isinstance(value, str)
    if is_text and value in parties:
        return Detail(label, parties[value], "", is_json=False)
    if is_text and (name, value) in VALUES:
        return Detail(label, None, VALUES[name, value], is_json=False)
    if isinstance(value, bool):
        return Detail(label, None, _("Yes") if value else _("No"), is_json=False)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        titles = {one.id: one.title for one in describe_scopes(value)} if name.endswith("Scopes") else {}
        return Detail(label, None, ", ".join(plain_text(titles.get(one, one)) for one in value), is_json=False)
    is_json = isinstance(value, list | dict)
    return Detail(label, None, readable_json(value) if is_json else plain_text(value), is_json)
