"""The targets on the consent screen and on the page of a connection."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from consent.details import TYPES
from consent.models import Consent
from consent.targets import Pick, granted_details
from core.local import listed
from core.text import plain_text
from resources.catalogue import Scope


@dataclass(frozen=True, slots=True)
class Candidate:
    """One identifier with its checkbox."""

    identifier: str
    ticked: bool


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """One requested detail: what the user can pick, and the titles of the scopes that it limits."""

    name: str
    title: str | Promise
    scopes: str
    candidates: list[Candidate]


def read_picks(posted: QueryDict, asked: Consent) -> list[Pick]:
    """Return the identifiers that the user ticked, by requested detail."""
    return [
        Pick(detail["type"], posted.getlist(_name(number)), detail["actions"])
        for number, detail in enumerate(asked.authorization_details)
    ]


def target_choices(
    asked: Consent, live: Consent | None, words: Mapping[str, Scope], picks: Iterable[Pick] | None
) -> list[TargetChoice]:
    """Return the requested details that limit a scope on the screen.

    If a form is shown again, its `picks` are ticked. Otherwise, what the agent may already use is ticked, and so is an
    only candidate. Among several candidates, the user must choose.
    """
    posted = None if picks is None else [pick.identifiers for pick in picks]
    choices = []
    for number, detail in enumerate(asked.authorization_details):
        scopes = [words[scope] for scope in detail["actions"] if scope in asked.askable_scopes()]
        ticked = posted[number] if posted else _ticked(detail, live)
        candidates = [Candidate(one, one in ticked) for one in detail["identifiers"]]
        if scopes:
            choices.append(TargetChoice(_name(number), TYPES[detail["type"]], _titles(scopes), candidates))
    return choices


def kept_targets(asked: Consent, live: Consent | None) -> dict[str, list[str]]:
    """Return the identifiers to which live scopes are limited, regardless of what the user ticks."""
    if live is None:
        return {}
    chosen = {scope for detail in asked.authorization_details for scope in detail["actions"]}
    return {scope: identifiers_of(live, scope) for scope in live.targets if scope not in chosen}


def granted_targets(consent: Consent, scopes: Iterable[Scope]) -> list[TargetChoice]:
    """Return the targets that limit a connection's scopes, all ticked. The user unticks what to take back."""
    words = {scope.id: scope for scope in scopes}
    return [
        TargetChoice(
            _name(number),
            TYPES[detail["type"]],
            _titles([words[scope] for scope in detail["actions"] if scope in words]),
            [Candidate(one, ticked=True) for one in detail["identifiers"]],
        )
        for number, detail in enumerate(granted_details(consent.targets, consent.granted_scopes))
    ]


def read_kept_picks(posted: QueryDict, consent: Consent) -> list[Pick]:
    """Return the identifiers that are still ticked, by granted detail. Details missing from the form are kept."""
    details = granted_details(consent.targets, consent.granted_scopes)
    return [
        Pick(detail["type"], posted.getlist(_name(number)), detail["actions"])
        for number, detail in enumerate(details)
        if _name(number) in posted or f"{_name(number)}-shown" in posted
    ]


def identifiers_of(consent: Consent, scope: str) -> list[str]:
    """Return the identifiers to which a granted scope is limited. Empty if it is not limited."""
    return [one for target in consent.targets.get(scope, ()) for one in target["identifiers"]]


def _name(number: int) -> str:
    return f"target-{number}"


def _ticked(detail: Mapping[str, Any], live: Consent | None) -> Collection[str]:
    if len(detail["identifiers"]) == 1:
        return list(detail["identifiers"])
    return {one for scope in detail["actions"] if live for one in identifiers_of(live, scope)}


def _titles(scopes: Iterable[Scope]) -> str:
    return listed(_("“%(title)s”") % {"title": plain_text(scope.local_title)} for scope in scopes)
