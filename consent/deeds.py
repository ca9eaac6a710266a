"""What a request would do, as one sentence made of its verb, amount, recipient and target.

The sentence is a template with named parts, because a page and a mail show the parts differently. The service wrote
most of them, so neither may show them as our own words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consent.approval_selectors import scopes_of
from consent.models import Approval
from core.money import Amount, read_amount


class Kind(Enum):
    """Whose words a part is: ours, the catalogue's, the service's, or an amount of money that we can read."""

    OWN = "own"
    TITLE = "title"
    STATED = "stated"
    AMOUNT = "amount"


@dataclass(frozen=True, slots=True)
class Part:
    kind: Kind
    value: Any


@dataclass(frozen=True, slots=True)
class Deed:
    """A translated template, such as "%(verb)s %(amount)s to %(recipient)s", and its parts."""

    template: str
    parts: Mapping[str, Part]


VERBS = {
    "pay": gettext_lazy("Pay"),
    "transfer": gettext_lazy("Transfer"),
    "refund": gettext_lazy("Refund"),
    "charge": gettext_lazy("Charge"),
    "buy": gettext_lazy("Buy"),
    "order": gettext_lazy("Order"),
    "book": gettext_lazy("Book"),
    "cancel": gettext_lazy("Cancel"),
    "send": gettext_lazy("Send"),
    "send email": gettext_lazy("Send an email"),
    "send an email": gettext_lazy("Send an email"),
    "send message": gettext_lazy("Send a message"),
    "send a message": gettext_lazy("Send a message"),
    "forward": gettext_lazy("Forward"),
    "reply": gettext_lazy("Reply"),
    "publish": gettext_lazy("Publish"),
    "post": gettext_lazy("Post"),
    "create": gettext_lazy("Create"),
    "update": gettext_lazy("Update"),
    "change": gettext_lazy("Change"),
    "delete": gettext_lazy("Delete"),
    "remove": gettext_lazy("Remove"),
    "read": gettext_lazy("Read"),
    "share": gettext_lazy("Share"),
    "merge": gettext_lazy("Merge"),
    "deploy": gettext_lazy("Deploy"),
}
# What is sent with permissions of these services.
SENT = {"email": "send email", "messaging": "send message", "slack": "send message"}
# Verbs that are followed by the amount itself, and by "to" before the recipient.
OF_MONEY = {"pay", "transfer", "refund"}
TOWARDS = OF_MONEY | {"send", "forward", "reply"}


def deed_of(approval: Approval) -> Deed:
    """Return what the request would do. A part that is not stated is left out of the sentence."""
    stated, context = _stated_verb(approval), approval.context
    parts = {"verb": _verb(approval, stated)}
    if context.get("amount") is not None:
        amount = read_amount(context["amount"])
        parts["amount"] = Part(Kind.AMOUNT, amount) if amount else Part(Kind.STATED, context["amount"])
    if context.get("recipient"):
        parts["recipient"] = Part(Kind.STATED, context["recipient"])
    target = context.get("target") or ("" if "recipient" in parts else approval.resource)
    if target:
        parts["target"] = Part(Kind.STATED, target)
    return Deed(_template(parts, stated), parts)


def further_fields(approval: Approval) -> list[str]:
    """Return the names of the fields of the request that its sentence does not have, sorted."""
    parts = deed_of(approval).parts
    return sorted(
        name for name, value in approval.context.items() if not (name in parts and (value or name == "amount"))
    )


def _stated_verb(approval: Approval) -> str:
    """Return the verb in lower case, or "" if there is none that is text."""
    verb = approval.context.get("verb")
    words = " ".join(verb.lower().replace("_", " ").replace("-", " ").split()) if isinstance(verb, str) else ""
    services = {scope.partition(":")[0] for scope in approval.scopes}
    if words == "send" and len(services) == 1:
        return SENT.get(services.pop(), words)
    return words


def _verb(approval: Approval, stated: str) -> Part:
    if stated in VERBS:
        return Part(Kind.OWN, VERBS[stated])
    if approval.context.get("verb"):
        return Part(Kind.STATED, approval.context["verb"])
    scopes = scopes_of(approval)
    kind = Kind.STATED if any(scope.defined_by for scope in scopes) else Kind.TITLE
    return Part(kind, ", ".join(scope.title for scope in scopes))


def _template(parts: Mapping[str, Part], stated: str) -> str:
    template = _opening(parts, stated.partition(" ")[0])
    if "target" not in parts:
        return template
    if "recipient" in parts or "amount" in parts:
        return _("%(sentence)s (%(target)s)") % {"sentence": template, "target": "%(target)s"}
    is_known = parts["verb"].kind is Kind.OWN and stated in VERBS
    return _("%(verb)s %(target)s") if is_known else _("%(verb)s: %(target)s")


def _opening(parts: Mapping[str, Part], first: str) -> str:
    """Return the template without the target."""
    if "amount" not in parts:
        if "recipient" not in parts:
            return "%(verb)s"
        if first == "pay":
            return _("%(verb)s %(recipient)s")
        return _("%(verb)s to %(recipient)s") if first in TOWARDS else _("%(verb)s: %(recipient)s")
    if "recipient" not in parts:
        return _("%(verb)s %(amount)s") if first in OF_MONEY else _("%(verb)s for %(amount)s")
    return (
        _("%(verb)s %(amount)s to %(recipient)s") if first in OF_MONEY else _("%(verb)s for %(amount)s: %(recipient)s")
    )


def ceiling_of(approval: Approval) -> Amount | None:
    """Return the highest amount that a standing approval covers, or None if it covers only requests without one."""
    return read_amount(approval.context.get("amount"))
