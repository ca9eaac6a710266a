"""The content of a request as labels and visible texts: every leaf of the JSON that the service sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from approvals.models import Approval
from approvals.statuses import fixed_fields
from approvals.summaries import further_fields, is_digest
from web.display.labels import field_name, field_names
from web.user.approvals.headlines import stated

# Further ones are shown together, as the JSON that was sent.
MAX_FACTS = 200


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


def labels() -> dict[str, str]:
    """Return words for the fields that each request can have."""
    return {
        "verb": _("In its own words"),
        "recipient": _("Recipient"),
        "target": _("Target"),
        "amount": _("Amount"),
        "text": _("Message"),
        "diff": _("Changes"),
        "arguments": _("Everything that is sent"),
        "definition": _("Version of the tool"),
        "labels": _("What it may do with data"),
    }


def is_exact(approval: Approval) -> bool:
    """Return whether the service says, by a digest, all that the agent sends."""
    return is_digest("arguments", approval.context.get("arguments"))


def facts_in(fields: dict[str, Any]) -> list[Fact]:
    """Return all leaves of these fields, with those beyond `MAX_FACTS` as one fact."""
    return _bounded(list(_flatten(fields)))


def fixed_facts(approval: Approval) -> list[Fact]:
    """Return what a standing approval of this request fixes and the sentence leaves out."""
    fixed = _further_fixed(approval)
    digests = [name for name, value in fixed.items() if is_digest(name, value)]
    return [
        *[Fact(labels()[name], fixed[name]) for name in digests],
        *facts_in({name: value for name, value in fixed.items() if name not in digests}),
    ]


def fixed_names(approval: Approval) -> str:
    """Return the names of `fixed_facts` on one line."""
    return field_names(_further_fixed(approval), labels())


def _further_fixed(approval: Approval) -> dict[str, Any]:
    fixed = fixed_fields(approval.context)
    return {name: fixed[name] for name in further_fields(approval) if name in fixed}


def _flatten(value: Any, path: str = "") -> Iterator[Fact]:
    """Yield the leaves of a JSON value with their dotted paths, in which names that are not plain words are quoted."""
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not parts:
        if path:
            yield Fact(path, stated(value))
        return
    for name, part in parts:
        step = field_name(str(name))
        yield from _flatten(part, f"{path}.{step}" if path else step)


def _bounded(facts: list[Fact]) -> list[Fact]:
    if len(facts) <= MAX_FACTS:
        return facts
    rest = "; ".join(f"{fact.label}: {fact.value}" for fact in facts[MAX_FACTS:])
    return [*facts[:MAX_FACTS], Fact(_("Further fields"), rest)]
