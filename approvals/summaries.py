"""Summaries of requests: what one would do, in a sentence made of its verb, amount, recipient and target.

The sentence is a template with named parts, because pages and emails show the parts differently. The service wrote
most of them, so neither may show them as our own words.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial
from typing import Any, Self

from django.utils.translation import gettext as _
from django.utils.translation import npgettext, pgettext_lazy

from approvals.models import Approval
from approvals.selectors import scopes_of
from core.money import Amount, read_amount
from resources.actions import action_title, action_titles
from resources.catalogue import LABELS, Scope
from resources.risks import CRITICAL, RISK_LEVELS


class Kind(Enum):
    """Where a part comes from: our own words, the catalogue, the service, or an amount of money that we can read."""

    OWN = "own"
    TITLE = "title"
    STATED = "stated"
    AMOUNT = "amount"


@dataclass(frozen=True, slots=True)
class Part:
    kind: Kind
    value: Any


@dataclass(frozen=True)
class Act:
    """What the sentence about a request is made of. `scope_ids` include the scope that covers the action."""

    scope_ids: Sequence[str]
    action: str
    resource: str
    context: Mapping[str, Any]
    find_scopes: Callable[[], Sequence[Scope]]

    @classmethod
    def of(cls, approval: Approval) -> Self:
        find = partial(scopes_of, approval)
        return cls(approval.scopes, approval.action, approval.resource, approval.context, find)

    @cached_property
    def scopes(self) -> Sequence[Scope]:
        return self.find_scopes()

    @cached_property
    def gravest(self) -> Scope | None:
        """The scope with the highest risk. Among several, the last one that covers the action, if any does."""
        ranked = sorted(self.scopes, key=lambda scope: (RISK_LEVELS.index(scope.risk_level), self._is_covered(scope)))
        return ranked[-1] if ranked else None

    @property
    def risk(self) -> str:
        """The highest risk. Without a scope it is unknown, and so counts as the highest."""
        return self.gravest.risk_level if self.gravest else CRITICAL

    @property
    def is_grave(self) -> bool:
        return self.risk in GRAVE

    @property
    def has_object(self) -> bool:
        """Whether the request names a target, a recipient or an amount."""
        return bool(self.resource or any(self.context.get(name) for name in ("target", "recipient", "amount")))

    @property
    def key(self) -> str:
        """The scope or action that best says what the request does: the action, unless it needs a graver scope.

        An action of the catalogue that no scope covers is graver than all of them, and denied.
        """
        gravest = self.gravest
        if gravest is None:
            return self.action
        is_best = self._is_covered(gravest) or not any(map(self._is_covered, self.scopes))
        return self.action if self.action in action_titles() and is_best else gravest.id

    @property
    def title(self) -> str:
        """What that is in words."""
        if self.key == self.action and self.action in action_titles():
            return action_title(self.action)
        return self.gravest.local_title if self.gravest else self.action or _("no specific scopes")

    def _is_covered(self, scope: Scope) -> bool:
        return self.action == scope.id or self.action in scope.covers


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """A translated template, such as "%(verb)s %(amount)s to %(recipient)s", and its parts."""

    template: str
    parts: Mapping[str, Part]


# An imperative in English. Other languages may use an infinitive or a noun: what follows is set off by the template.
VERBS = {
    "pay": pgettext_lazy("verb of a request", "Pay"),
    "transfer": pgettext_lazy("verb of a request", "Transfer"),
    "refund": pgettext_lazy("verb of a request", "Refund"),
    "charge": pgettext_lazy("verb of a request", "Charge"),
    "buy": pgettext_lazy("verb of a request", "Buy"),
    "order": pgettext_lazy("verb of a request", "Order"),
    "book": pgettext_lazy("verb of a request", "Book"),
    "cancel": pgettext_lazy("verb of a request", "Cancel"),
    "send": pgettext_lazy("verb of a request", "Send"),
    "send email": pgettext_lazy("verb of a request", "Send an email"),
    "send an email": pgettext_lazy("verb of a request", "Send an email"),
    "send message": pgettext_lazy("verb of a request", "Send a message"),
    "send a message": pgettext_lazy("verb of a request", "Send a message"),
    "forward": pgettext_lazy("verb of a request", "Forward"),
    "reply": pgettext_lazy("verb of a request", "Reply"),
    "publish": pgettext_lazy("verb of a request", "Publish"),
    "post": pgettext_lazy("verb of a request", "Post"),
    "create": pgettext_lazy("verb of a request", "Create"),
    "update": pgettext_lazy("verb of a request", "Update"),
    "change": pgettext_lazy("verb of a request", "Change"),
    "delete": pgettext_lazy("verb of a request", "Delete"),
    "remove": pgettext_lazy("verb of a request", "Remove"),
    "read": pgettext_lazy("verb of a request", "Read"),
    "share": pgettext_lazy("verb of a request", "Share"),
    "merge": pgettext_lazy("verb of a request", "Merge"),
    "deploy": pgettext_lazy("verb of a request", "Deploy"),
}
READING = ("read",)
CHANGING = ("create", "update", "change", "cancel", "book", "delete", "remove")
DELETING = ("delete", "remove")
SENDING = ("send", "send email", "send an email", "send message", "send a message")
PAYING = ("pay", "charge", "buy", "order", "book", "transfer")
# The verbs that may begin the sentence about a scope or action of the catalogue, by the last part of its id. Any other
# verb could make the request look more harmless than it is, so the sentence begins with the title instead.
FITTING = {
    **dict.fromkeys(("read", "list", "search", "query", "open", "logs", "download", "freebusy"), READING),
    "send": (*SENDING, "reply", "forward"),
    "reply": (*SENDING, "reply"),
    "forward": (*SENDING, "forward"),
    "post": ("post", "publish", "reply"),
    **dict.fromkeys(("write", "manage"), CHANGING),
    **dict.fromkeys(("create", "insert", "draft"), ("create",)),
    **dict.fromkeys(("update", "edit", "change", "rename"), ("update", "change")),
    "cancel": ("cancel",),
    "share": ("share",),
    **dict.fromkeys(("delete", "erase", "trash"), DELETING),
    **dict.fromkeys(("charge", "capture"), PAYING),
    **dict.fromkeys(("buy", "order"), ("buy", "order", "pay", "book")),
    "refund": ("refund",),
    "payout": ("pay", "transfer"),
    "merge": ("merge",),
    **dict.fromkeys(("deploy", "release"), ("deploy",)),
}
# These may begin a sentence even if the request needs less than they say.
GRAVER = (*PAYING, *DELETING)
GRAVE = {"high", CRITICAL}
# What an agent sends with permissions of these services.
SENT = {"email": "send email", "messaging": "send message", "slack": "send message"}
# Verbs that are followed directly by the amount, and by "to" before the recipient.
OF_MONEY = {"pay", "transfer", "refund"}
TOWARDS = OF_MONEY | {"send", "forward", "reply"}


# What stands for what a person cannot read: all that a call sends, and the definition of its tool.
DIGESTS = ("arguments", "definition")
DIGEST = re.compile(r"[0-9a-f]{64}")

# What a request can have beside what its sentence says. Each follows "with", in the case that it needs there.
THINGS = {
    "account": pgettext_lazy("with …", "an account"),
    "amount": pgettext_lazy("with …", "an amount"),
    "attachments": pgettext_lazy("with …", "attachments"),
    "bcc": pgettext_lazy("with …", "hidden copies"),
    "cc": pgettext_lazy("with …", "copies to others"),
    "diff": pgettext_lazy("with …", "changes"),
    "invoice": pgettext_lazy("with …", "an invoice"),
    "recipient": pgettext_lazy("with …", "a recipient"),
    "subject": pgettext_lazy("with …", "a subject"),
    "target": pgettext_lazy("with …", "a target"),
    "text": pgettext_lazy("with …", "a message"),
    "verb": pgettext_lazy("with …", "a description of its own"),
}


def more_things(number: int) -> str:
    """Return "3 more fields", as it follows "with"."""
    return npgettext("with …", "%(number)s more field", "%(number)s more fields", number) % {"number": number}


def summary_of(approval: Approval) -> RequestSummary:
    """Return what the request of an approval would do."""
    return summarize(Act.of(approval))


def summarize(act: Act) -> RequestSummary:
    """Return what a request would do. A part that is not stated is left out of the sentence."""
    context, stated = act.context, ""
    parts = {"verb": _title(act)}
    if says_verb(act):
        stated = _stated_verb(act)
        parts["verb"] = _stated_part(act, stated)
    if context.get("amount") is not None:
        amount = read_amount(context["amount"])
        parts["amount"] = Part(Kind.AMOUNT, amount) if amount else Part(Kind.STATED, context["amount"])
    if context.get("recipient"):
        parts["recipient"] = Part(Kind.STATED, context["recipient"])
    target = context.get("target") or ("" if "recipient" in parts else act.resource)
    if target:
        parts["target"] = _target(target)
    return RequestSummary(_template(parts, stated), parts)


def _target(target: Any) -> Part:
    """Return the target as a sentence shows it. A gateway sends "." for the folder that a server serves."""
    if target in (".", ["."]):
        return Part(Kind.OWN, _("everything in its folder"))
    return Part(Kind.STATED, target)


def further_fields(approval: Approval) -> list[str]:
    """Return the sorted names of the request's fields that its sentence leaves out."""
    act = Act.of(approval)
    shown = {name for name in summarize(act).parts if name != "verb" or says_verb(act)}
    return sorted(
        name for name, value in approval.context.items() if not (name in shown and (value or name == "amount"))
    )


def readable_fields(approval: Approval) -> list[str]:
    """Return those of the `further_fields` whose values say something to a person."""
    return [name for name in further_fields(approval) if not is_fine_print(name, approval.context[name])]


def is_fine_print(name: str, value: Any) -> bool:
    """Return whether a field is a digest, or labels: the page says in words what they mean."""
    return is_digest(name, value) or (name == "labels" and are_labels(value))


def is_digest(name: str, value: Any) -> bool:
    """Return whether a field is the SHA-256 of all that a call sends, or of its tool's definition."""
    return name in DIGESTS and isinstance(value, str) and DIGEST.fullmatch(value) is not None


def are_labels(value: Any) -> bool:
    """Return whether this is what a guard against data flows reads in `context.labels`."""
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) and each in LABELS for each in value)


def says_verb(act: Act) -> bool:
    """Return whether the sentence uses the verb that the service states."""
    return bool(act.context.get("verb")) and not _is_title_better(act, _stated_verb(act))


def _stated_verb(act: Act) -> str:
    """Return the verb in lowercase, or "" if the request has no verb that is text."""
    verb = act.context.get("verb")
    words = " ".join(verb.lower().replace("_", " ").replace("-", " ").split()) if isinstance(verb, str) else ""
    services = {scope.partition(":")[0] for scope in act.scope_ids}
    if words == "send" and len(services) == 1:
        return SENT.get(services.pop(), words)
    return words


def _is_title_better(act: Act, stated: str) -> bool:
    """Return whether the stated verb is missing, says too little, or hides what the request does."""
    if not act.context.get("verb") or (stated in READING and not act.has_object):
        return True
    if act.gravest is None or act.gravest.defined_by:
        return stated in READING and act.is_grave
    if stated in FITTING.get(act.key.rpartition(":")[2], ()):
        return False
    is_certain = act.key == act.action
    if stated in GRAVER and not is_certain and act.gravest.risk_level != CRITICAL:
        return False
    return act.is_grave or is_certain or stated in READING


def _stated_part(act: Act, stated: str) -> Part:
    return Part(Kind.OWN, VERBS[stated]) if stated in VERBS else Part(Kind.STATED, act.context["verb"])


def _title(act: Act) -> Part:
    is_own = act.gravest is not None and act.gravest.defined_by
    return Part(Kind.STATED if is_own else Kind.TITLE, act.title)


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
    """Return the highest amount that a standing approval covers. None if it covers only requests without an amount."""
    return read_amount(approval.context.get("amount"))
