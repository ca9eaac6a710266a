"""Entries of the user's log with names and texts, as pages and exports show them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils.safestring import SafeString

from approvals.selectors import unknown_scope
from approvals.summaries import Act, RequestSummary, summarize
from audit.events import Event, Outcome
from audit.readers.reading import AuditEntry
from audit.selectors import describe_for_user
from decisions.wording import asks_user, is_for_rule
from resources.actions import action_title
from web.display.labels import with_fields
from web.user.activity.kinds import ROUTINE
from web.user.activity.touched import Touched, read_touched
from web.user.approvals.headlines import say_plainly, say_summary
from web.wording.names import NOTHING, add_names
from web.wording.sentences import ACTS, CALLS, Account, in_html, in_words

# Events that only the user may cause, and events that give another person or an agent access if the user did not cause
# them.
DISPUTABLE = frozenset(
    {
        Event.USER_SIGNED_IN,
        Event.USER_SIGN_IN_FAILED,
        Event.USER_DEVICE_ADDED,
        Event.USER_PASSWORD_CHANGED,
        Event.USER_ACCOUNT_RECLAIMED,
        Event.USER_EMAIL_VERIFIED,
        Event.USER_EMAIL_ADDED,
        Event.USER_EMAIL_REMOVED,
        Event.USER_EMAIL_CHANGED,
        Event.USER_PASSKEY_ADDED,
        Event.USER_PASSKEY_REMOVED,
        Event.USER_TOTP_ADDED,
        Event.USER_TOTP_REMOVED,
        Event.USER_RECOVERY_CODES_CREATED,
        Event.USER_RECOVERY_CODE_USED,
        Event.USER_SECOND_FACTOR_FAILED,
        Event.USER_PROFILE_CHANGED,
        Event.USER_MAILS_CHANGED,
        Event.USER_DATA_EXPORTED,
        Event.AUDIT_EXPORTED,
        Event.DEVELOPER_REGISTERED,
        Event.API_KEY_CREATED,
        Event.API_KEY_ROTATED,
        Event.CONSENT_APPROVED,
        Event.APPROVAL_APPROVED,
        Event.AGENT_RESUMED,
        Event.AGENTS_RESUMED,
    }
)
# The metadata that distinguishes requests that were denied for the same reason.
RULE = ("limitedBy", "delegationId", "ruleType", "ruleIndex", "approvalStatus")
OTHERS = frozenset({"administrator", "system"})
# What became of requests for the user's approval. Several about the same agent share a line, which opens to each.
DECISIONS = frozenset({Event.APPROVAL_APPROVED, Event.APPROVAL_DENIED, Event.APPROVAL_EXPIRED})


@dataclass(frozen=True)
class Item:
    """An entry that the user may read. `content` has names, and `services` the organizations of its services."""

    content: Mapping[str, Any]
    at: datetime
    touched: Touched
    services: Sequence[str]

    @property
    def id(self) -> str:
        return str(self.content["id"])

    @property
    def event(self) -> str:
        return str(self.content["event"])

    @property
    def agent_id(self) -> str | None:
        agent_id: str | None = self.content["agentId"]
        return agent_id

    @property
    def agent_names(self) -> Sequence[str]:
        """The agents of its chain, from the first one to the one that acted, or its agent if nothing was handed on."""
        return self.content["chainNames"] or [self.content["agentName"]]

    @property
    def is_through_others(self) -> bool:
        return bool(self.content["chainNames"])

    @property
    def request_id(self) -> str:
        return self.content["requestId"] or ""

    @property
    def is_call(self) -> bool:
        """Whether an agent asked to do something."""
        return self.event == Event.TOKEN_VERIFY

    @property
    def is_handover(self) -> bool:
        """Whether an agent handed work to another one."""
        return self.event == Event.DELEGATION_CREATED

    @property
    def is_act(self) -> bool:
        """Whether it is about one request of an agent."""
        return self.event in ACTS

    @property
    def is_routine(self) -> bool:
        return self.event in ROUTINE

    @property
    def is_explained(self) -> bool:
        """Whether the entry's page says why something was stopped."""
        return (self.is_denied and not self.is_asked) or self.event == Event.TOKEN_REPLAYED

    @property
    def is_asked(self) -> bool:
        return self.is_denied and asks_user(self.content)

    @property
    def is_denied(self) -> bool:
        """Whether an agent's request was denied, or the user was asked."""
        return self.event in CALLS and self.content["outcome"] == Outcome.DENIED

    @property
    def outcome(self) -> str:
        """Return `allowed`, `denied`, `asked` or, if nothing was decided about an agent's request, "recorded"."""
        if self.is_asked:
            return "asked"
        return str(self.content["outcome"]) if self.event in CALLS else "recorded"

    @cached_property
    def summary(self) -> RequestSummary:
        """What the agent asked to do."""
        return summarize(self._act)

    @cached_property
    def what_of_group(self) -> SafeString:
        """The same without the target, because the entries of a line can have different ones."""
        return say_summary(summarize(_act(self.content, self.touched.without_target())))

    @property
    def action(self) -> str:
        """What the action that the service named does, in words, or its id if it is not in the catalogue."""
        return action_title(self.content["action"]) if self.content["action"] else ""

    @property
    def more(self) -> SafeString:
        """The other fields that the service sent, on one line. That an amount cannot be read is said by itself."""
        is_said = self.touched.has_unreadable_amount
        return with_fields(name for name in self.touched.further if not (is_said and name == "amount"))

    @cached_property
    def html(self) -> Account:
        """What the entry says, as HTML."""
        return in_html({**self.content, "actHtml": say_summary(self.summary)} if self.is_act else dict(self.content))

    @cached_property
    def words(self) -> Account:
        """The same as text."""
        act = {"act": say_plainly(self.summary)} if self.is_act else {}
        return in_words({**self.content, **act})

    @cached_property
    def _act(self) -> Act:
        return _act(self.content, self.touched)

    @cached_property
    def group(self) -> tuple[object, ...] | None:
        """The key that entries on one line have in common. None if it needs its own line, as each payment does."""
        content, touched = self.content, self.touched
        through = tuple(self.agent_names)
        if self.event in DECISIONS and not is_for_rule(content):
            return (self.event, through)
        if not self.is_call:
            return (
                self.event,
                content["outcome"],
                self.html.title,
                self.html.scopes,
                self.html.label,
                through,
                *self.html.notes,
            )
        if touched.amount or touched.has_unreadable_amount:
            return None
        words = (self.what_of_group, tuple(touched.further), tuple(content["scopes"]), content["action"])
        rule = (content["policyId"], *(content["metadata"].get(name) for name in RULE))
        return (self.outcome, content["reason"], through, *words, *rule)

    @property
    def is_disputable(self) -> bool:
        """Whether the user can report that it was not them: it was done in their name or with their account."""
        if self.is_call:
            return not self.is_denied
        return self.event in DISPUTABLE and self.content["actor"]["kind"] not in OTHERS

    def has(self, words: Collection[str]) -> bool:
        """Return whether all words, in lowercase, occur in what the entry says about permissions and services."""
        return all(word in self._text for word in words)

    @cached_property
    def _text(self) -> str:
        content, touched = self.content, self.touched
        texts = (*content["scopes"], *content["scopeTitles"], content["action"], *self.services)
        return "\n".join(filter(None, (*texts, touched.resource, touched.target, touched.recipient))).lower()


def read_items(
    entries: Sequence[AuditEntry], user_id: str, *, agent_names: Mapping[str, str] = NOTHING, with_services: bool = True
) -> list[Item]:
    """Return entries about the user, in the same order. Agents in `agent_names` are not looked up."""
    described = add_names(describe_for_user(entries, user_id), agent_names=agent_names, with_services=with_services)
    return [
        Item(content, entry.timestamp, read_touched(content["personal"]), content["serviceNames"])
        for content, entry in zip(described, entries, strict=True)
    ]


def _act(content: Mapping[str, Any], touched: Touched) -> Act:
    """Return the request of an entry."""
    known = {scope.id: scope for scope in content["knownScopes"]}
    scopes = [known.get(one) or unknown_scope(one) for one in content["scopes"]]
    return Act(content["scopes"], content["action"] or "", touched.resource, touched.said, lambda: scopes)
