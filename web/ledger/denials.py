"""Denials explained: why, and what the user can do. Nothing was done, because services ask before they act."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consent.statuses import ApprovalStatus
from core import clock
from decisions.requests import Reason
from web.ledger.items import Item
from web.ledger.rules import WHOSE_SERVICE, WHOSE_USER, RuleInWords, find_rule_of
from web.names import scope_titles

CONNECTION, CONNECTIONS, APPROVAL = "connection", "connections", "approval"
# What the user can do, and the page for it.
ADVICE: dict[str, tuple[Any, str]] = {
    Reason.INVALID_TOKEN: (gettext_lazy("Nothing. This server did not issue the token."), ""),
    Reason.TOKEN_EXPIRED: (
        gettext_lazy("Nothing. Agents renew their tokens by themselves, so the next request may work."),
        "",
    ),
    Reason.TOKEN_REVOKED: (
        gettext_lazy("To let the agent continue, start from the agent again. It then gets a new token."),
        CONNECTION,
    ),
    Reason.SERVICE_SUSPENDED: (
        gettext_lazy("Wait. An administrator of this server suspended the service, and only they can lift that."),
        "",
    ),
    Reason.ORGANIZATION_SUSPENDED: (
        gettext_lazy(
            "Wait, or revoke the access of this agent. An administrator of this server suspended its developer, and "
            "only they can lift that."
        ),
        CONNECTION,
    ),
    Reason.AGENT_SUSPENDED: (
        gettext_lazy(
            "Wait, or revoke the access of this agent. Its developer or an administrator suspended it, and only they "
            "can lift that."
        ),
        CONNECTION,
    ),
    Reason.USER_INACTIVE: (gettext_lazy("Ask an administrator of this server to reactivate your account."), ""),
    Reason.CONSENT_REVOKED: (
        gettext_lazy("If you want to allow it again, start from the agent. It then asks you for its permissions."),
        CONNECTION,
    ),
    Reason.CONSENT_EXPIRED: (
        gettext_lazy("If you want to allow it again, start from the agent. It then asks you for its permissions."),
        CONNECTION,
    ),
    Reason.CONSENT_PAUSED: (gettext_lazy("Resume the agent if you trust it again."), CONNECTION),
    Reason.WRONG_AUDIENCE: (
        gettext_lazy("Nothing. The agent used a token for one service at another one, which its developer must fix."),
        "",
    ),
    Reason.INSUFFICIENT_SCOPE: (
        gettext_lazy("If you want to allow this, start from the agent and let it ask you for this permission."),
        CONNECTION,
    ),
    Reason.POLICY_DENIED: (gettext_lazy("Nothing. The request went against a rule."), ""),
    Reason.APPROVAL_REQUIRED: (gettext_lazy("Approve or deny the request while it waits."), APPROVAL),
}
NO_PERMISSION = gettext_lazy("Nothing. There is no permission for this action that the agent could ask you for.")
DENIED = gettext_lazy(
    "Nothing. You denied this request, so the same one is denied without asking you, until an hour after the first one."
)
NOT_ASKED = gettext_lazy("Nothing. The agent asked for too many approvals, so you were not asked about this request.")
OWN_LIMIT = gettext_lazy(
    "You set this limit, and it did what it is for. You can only tighten the limits of a connection. To allow more, "
    "let the agent ask you again."
)
OTHERS_LIMIT = gettext_lazy("You cannot change this rule, but the agent's developer can.")
SERVICES_LIMIT = gettext_lazy("You cannot change this rule, but the service can.")
ALL_PAUSED = gettext_lazy("You paused all agents. Resume them, if you trust them again.")
LINKS = {
    CONNECTION: gettext_lazy("Open the connection"),
    CONNECTIONS: gettext_lazy("Open your connections"),
    APPROVAL: gettext_lazy("Open the request"),
}


@dataclass(frozen=True, slots=True)
class Denial:
    """`missing` are the titles of permissions that the agent lacks. `wait_until` is None if waiting does not help."""

    missing: str
    rule: RuleInWords | None
    advice: str
    url: str
    label: str
    wait_until: datetime | None


def explain(item: Item, *, is_all_paused: bool) -> Denial | None:
    """Return why the request was denied and what the user can do, or None if it was not."""
    if not item.is_denied:
        return None
    reason, rule, metadata = item.content["reason"], find_rule_of(item), item.content["metadata"]
    advice, page = _advice(reason, rule, metadata, is_all_paused=is_all_paused)
    url = _url(item, page)
    seconds = metadata.get("retryAfterSeconds")
    fits_at = item.at + timedelta(seconds=seconds) if seconds and reason == Reason.POLICY_DENIED else None
    return Denial(
        missing=_missing(item),
        rule=rule,
        advice=advice,
        url=url,
        label=str(LINKS[page]) if url else "",
        wait_until=fits_at if fits_at and fits_at > clock.now() else None,
    )


def _advice(
    reason: str, rule: RuleInWords | None, metadata: Mapping[str, Any], *, is_all_paused: bool
) -> tuple[str, str]:
    if reason == Reason.CONSENT_PAUSED and is_all_paused:
        return str(ALL_PAUSED), CONNECTIONS
    if reason == Reason.POLICY_DENIED and rule:
        whose = {WHOSE_USER: OWN_LIMIT, WHOSE_SERVICE: SERVICES_LIMIT}
        return str(whose.get(rule.whose, OTHERS_LIMIT)), CONNECTION if rule.whose == WHOSE_USER else ""
    if reason == Reason.INSUFFICIENT_SCOPE and "missingScopes" not in metadata:
        return str(NO_PERMISSION), ""
    if reason == Reason.APPROVAL_REQUIRED and metadata.get("approvalStatus") == ApprovalStatus.DENIED:
        return str(DENIED), APPROVAL
    if reason == Reason.APPROVAL_REQUIRED and "retryAfterSeconds" in metadata:
        return str(NOT_ASKED), ""
    text, page = ADVICE.get(reason, ("", ""))
    return str(text), page


def _url(item: Item, page: str) -> str:
    approval, consent = item.content["metadata"].get("approvalId"), item.content["consentId"]
    if page == APPROVAL:
        return reverse("web:approval", args=[approval]) if approval else ""
    if page == CONNECTION:
        return reverse("web:connection", args=[consent]) if consent else ""
    return reverse("web:connections") if page else ""


def _missing(item: Item) -> str:
    ids = item.content["metadata"].get("missingScopes", ())
    titles = scope_titles(ids)
    return get_text_list([titles.get(one, one) for one in ids], _("and"))
