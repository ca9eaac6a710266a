"""Why a request was denied, and what the user can do, or why it was allowed: the user had approved it or allowed it.

Nothing was done after a denial, because services ask before they act.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from approvals.models import Approval
from core import clock
from core.local import listed
from decisions.requests import Reason
from decisions.wording import Words, explain_denial
from resources.catalogue import OUTBOUND, Scope
from web.user.activity.denying_rule import WHOSE_DEVELOPER, WHOSE_SERVICE, RuleInWords, find_rule_of
from web.user.activity.items import Item
from web.wording.names import scope_titles

OTHERS_LIMIT = gettext_lazy("You cannot change this rule, but the agent's developer can.")
SERVICES_LIMIT = gettext_lazy("You cannot change this rule, but the service can.")
ALL_PAUSED = gettext_lazy("You paused all agents. Resume them, if you trust them again.")
GUARD = gettext_lazy(
    "If you have chosen to “Protect your data”, it asks or denies only after the agent has read both your private data "
    "and what others wrote, for the same task, in the last 24 hours."
)


@dataclass(frozen=True, slots=True)
class Denial:
    """`missing` are the titles of permissions that the agent lacks. `wait_until` is None if waiting does not help.

    `is_over` means that it helped: the time has passed.
    """

    missing: str
    rule: RuleInWords | None
    advice: Words
    url: str
    label: str
    wait_until: datetime | None
    is_over: bool


def explain(item: Item, *, is_all_paused: bool) -> Denial | None:
    """Return why the request was denied and what the user can do, or None if it was not."""
    if not item.is_denied:
        return None
    reason, rule, metadata = item.content["reason"], find_rule_of(item), item.content["metadata"]
    is_all_paused = is_all_paused and reason == Reason.CONSENT_PAUSED
    url, label = (reverse("web:connections"), _("Open your connections")) if is_all_paused else _page(item)
    seconds = metadata.get("retryAfterSeconds")
    fits_at = item.at + timedelta(seconds=seconds) if seconds and reason == Reason.POLICY_DENIED else None
    return Denial(
        missing=_missing(item),
        rule=rule,
        advice=ALL_PAUSED if is_all_paused else _advice(reason, rule, metadata),
        url=url,
        label=label,
        wait_until=fits_at,
        is_over=bool(fits_at and fits_at <= clock.now()),
    )


def _advice(reason: str, rule: RuleInWords | None, metadata: Mapping[str, Any]) -> Words:
    if reason == Reason.POLICY_DENIED and rule and rule.whose in (WHOSE_DEVELOPER, WHOSE_SERVICE):
        return SERVICES_LIMIT if rule.whose == WHOSE_SERVICE else OTHERS_LIMIT
    return explain_denial(reason, metadata).advice


def _page(item: Item) -> tuple[str, str]:
    """Return the page where the user can do something about it, and the link text. Empty if there is no such page."""
    approval, consent = item.content["metadata"].get("approvalId"), item.content["consentId"]
    if approval:
        return reverse("web:approval", args=[approval]), _("Open the request")
    return (reverse("web:connection", args=[consent]), _("What this agent may do")) if consent else ("", "")


def _missing(item: Item) -> str:
    ids = item.content["metadata"].get("missingScopes", ())
    titles = scope_titles(ids)
    return listed(titles.get(one, one) for one in ids)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Sentences, and the page of the approval. `url` is empty if there was no approval or it has been deleted."""

    sentences: list[str]
    url: str = ""


def find_allowance(item: Item, scopes: Iterable[Scope], approval: Approval | None) -> Allowance | None:
    """Return why the request for these scopes was allowed. None if the entry is about something else.

    `approval` is the one that it was allowed with, unless that has been deleted.
    """
    if not item.is_call or item.is_denied:
        return None
    if "approvalId" not in item.content["metadata"]:
        sends = any(OUTBOUND in scope.labels for scope in scopes)
        return Allowance([_allowed(item), *([str(GUARD)] * sends)])
    return Allowance([_approved(approval)], reverse("web:approval", args=[approval.id]) if approval else "")


def _allowed(item: Item) -> str:
    if not item.is_through_others:
        return _("You had allowed this agent to do this without asking you.")
    text = _("You had allowed %(agent)s to do this without asking you, and to hand work to other agents.")
    return text % {"agent": item.agent_names[0]}


def _approved(approval: Approval | None) -> str:
    if approval is not None and approval.is_rule:
        return _("A rule that follows from your answers allowed it without asking you.")
    if approval is not None and approval.is_standing:
        return _("You had approved it for a time, so you were not asked again.")
    return _("You approved it.")
