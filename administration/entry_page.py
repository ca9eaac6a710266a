"""The page of a log entry: what happened in a sentence, with names and links, and its place in the log."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from administration.log_lines import Party, find_parties
from administration.sentences import sentence_html
from audit.entries.facets import is_own
from audit.events import Event
from audit.readers.reading import AuditEntry, stated_reason
from core.text import plain_text, readable_json
from decisions.requests import Reason
from decisions.wording import cause_of, explain_denial
from resources.catalogue import Scope, describe_scopes
from web.portal.logs.proof import Proof, find_proof
from web.portal.logs.words import rule_title

POLICY, SERVER = gettext_lazy("Policy"), gettext_lazy("Resource server")
AGENT, PERSON = gettext_lazy("Agent"), gettext_lazy("Person")
CONSENT, ORGANIZATIONS = gettext_lazy("Consent"), gettext_lazy("Organizations")
# These have the policy's name as their own.
POLICY_EVENTS = frozenset({Event.POLICY_CREATED, Event.POLICY_UPDATED, Event.POLICY_DELETED})


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry is about, and the list of all entries about the same. `log_url` is empty if there is none."""

    label: str | Promise
    parties: Sequence[Party]
    log_url: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """A member of the metadata or of the personal data. It is a `party`, or a `text`, which is JSON if `is_json`."""

    name: str
    party: Party | None
    text: str
    is_json: bool


@dataclass(frozen=True, slots=True)
class EntryPage:
    """What the page shows. `why` is the reason of this program in words, `stated` the one that a person typed."""

    entry: AuditEntry
    content: Mapping[str, Any]
    sentence: SafeString
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
    proof: Proof
    whole: str


def read_entry_page(request: HttpRequest, entry: AuditEntry, list_url: str) -> EntryPage:
    """Return what the page of an entry shows. `list_url` is the list of all entries."""
    content = entry.content
    metadata, personal = content["metadata"], entry.personal
    actor_id = content["actor"]["id"]
    parties = find_parties(request, [one for one in _ids(entry, content) if isinstance(one, str)])
    scopes = describe_scopes(content["scopes"])
    titles = {one.id: plain_text(one.title) for one in scopes}
    return EntryPage(
        entry=entry,
        content=content,
        sentence=sentence_html(content, _named(entry, content, parties), titles),
        why=explain_denial(content["reason"], metadata).why if content["reason"] in Reason else cause_of(content),
        rule=rule_title(metadata["ruleType"]) if metadata.get("ruleType") else "",
        stated=stated_reason(content),
        actor=_party(actor_id, parties) if actor_id else None,
        actor_url=f"{list_url}?{urlencode({'actor': actor_id})}" if actor_id else "",
        subjects=list(_subjects(entry, content, parties, list_url)),
        scopes=scopes,
        request_url=_search(content["requestId"]) if content["requestId"] and is_own(content["requestId"]) else "",
        details=[_detail(name, value, parties) for name, value in sorted(metadata.items()) if name != "reason"],
        personal=[_detail(name, value, parties) for name, value in sorted(personal.items()) if value is not None],
        proof=find_proof(entry),
        whole=readable_json({**content, "personal": personal}),
    )


def _ids(entry: AuditEntry, content: Mapping[str, Any]) -> Iterator[Any]:
    yield from (content["actor"]["id"], entry.agent_id, entry.user_id, content["consentId"], content["policyId"])
    yield from entry.organization_ids
    yield from content["metadata"].values()


def _named(entry: AuditEntry, content: Mapping[str, Any], parties: Mapping[str, Party]) -> dict[str, str]:
    """Return the names for the sentence, or ids of those that are gone or may not be read."""
    policy = plain_text(content["metadata"].get("name" if content["event"] in POLICY_EVENTS else "policyName"))
    ids = {
        "actor": content["actor"]["id"],
        "agent": entry.agent_id,
        "person": entry.user_id,
        "organization": next(iter(entry.organization_ids), None),
        "policy": content["policyId"] or content["metadata"].get("policyId"),
    }
    names = {name: parties[pk].name if pk in parties else pk or "" for name, pk in ids.items()}
    return {**names, "policy": policy or names["policy"]}


def _subjects(
    entry: AuditEntry, content: Mapping[str, Any], parties: Mapping[str, Party], list_url: str
) -> Iterator[Subject]:
    searched = {AGENT: entry.agent_id, PERSON: entry.user_id, CONSENT: content["consentId"]}
    others = {POLICY: content["policyId"], SERVER: content["metadata"].get("resourceServerId")}
    for label, pk in {**searched, **others}.items():
        if pk:
            url = f"{list_url}?{urlencode({'q': pk})}" if label in searched else ""
            yield Subject(label, [_party(pk, parties)], url)
    if entry.organization_ids:
        yield Subject(ORGANIZATIONS, [_party(pk, parties) for pk in entry.organization_ids])


def _party(pk: str, parties: Mapping[str, Party]) -> Party:
    return parties.get(pk) or Party(pk, "", is_id=True)


def _detail(name: str, value: Any, parties: Mapping[str, Party]) -> Detail:
    party = parties.get(value) if isinstance(value, str) else None
    is_json = isinstance(value, list | dict)
    return Detail(plain_text(name), party, readable_json(value) if is_json else plain_text(value), is_json)


def _search(text: str) -> str:
    return f"{reverse('admin:search')}?{urlencode({'q': text})}"
