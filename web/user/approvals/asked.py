"""What an agent asks its user to approve, in the request's own words: every field, as plain text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from approvals.audiences import Services, services_by_approval
from approvals.models import Approval
from approvals.selectors import needs_recent_sign_in, scopes_of
from approvals.summaries import (
    Act,
    Kind,
    Part,
    are_labels,
    ceiling_of,
    is_digest,
    is_fine_print,
    readable_fields,
    says_verb,
    summarize,
)
from consent.terms import DATA_FLOW
from core.formats import money
from core.local import listed
from core.money import read_amount
from core.text import escape_invisible, plain_text
from resources.actions import action_title, action_titles
from resources.catalogue import Scope
from web.display.chains import ChainedAgent, describe_agents
from web.display.labels import LABEL_WORDS, highest_risk, with_fields
from web.user.approvals.diffs import Block, read_diff, visible_text
from web.user.approvals.facts import Fact, facts_in, fixed_names, is_exact, labels
from web.user.approvals.headlines import MAX_PART, say, say_rule, say_up_to, stated
from web.wording.sentences import through, through_html

# Context fields that the sentence or the first facts of the page show.
NAMED = ("verb", "recipient", "target", "amount")
TEXTS = ("text", "diff")
# Fields that say where a request comes from, not what it does.
NO_CONTENT = {"ip", "task"}
HOUR, DAY = 3600, 86_400
DURATIONS = (HOUR, DAY, 7 * DAY, 30 * DAY)


@dataclass(frozen=True, slots=True)
class Outline:
    """A request as lists show it. `agents` are those of its chain, or nothing if the work was not handed on."""

    approval: Approval
    status: str
    sentence: SafeString
    scopes: list[Scope]
    services: Services
    agents: Sequence[ChainedAgent]

    @property
    def who(self) -> str:
        """The agents that ask, from the first one to the one at the end, as HTML."""
        return through_html(self._names)

    @property
    def who_in_words(self) -> str:
        """The same as text."""
        return through(self._names)

    @property
    def _names(self) -> list[str]:
        return [agent.name for agent in self.agents] or [plain_text(self.approval.agent.name)]

    @property
    def more(self) -> SafeString:
        """The request's fields that the sentence leaves out, on one line. Most requests have a text."""
        context = self.approval.context
        return with_fields(name for name in readable_fields(self.approval) if not _is_text(name, context))

    @property
    def risk(self) -> str | None:
        return highest_risk(scope.risk_level for scope in self.scopes)


@dataclass(frozen=True, slots=True)
class Asked(Outline):
    """A request as its page shows it. `facts` has the main fields that the sentence leaves out or shortens.

    `others` has the rest of its context. `action` is what its action does, in words if the catalogue has any. `diff`
    has the changed and unchanged lines of its diff, if it has a readable one. `fixed` names the fields that an approval
    for a time fixes and the sentence leaves out. `digests` stand for what only a program can compare.
    """

    facts: list[Fact]
    texts: list[Fact]
    diff: list[Block]
    others: list[Fact]
    digests: list[Fact]
    durations: list[tuple[int, str]]
    action: str
    reasons: list[str]
    guard_reason: str
    is_critical: bool
    fixed: str

    @property
    def has_more(self) -> bool:
        """Whether the request says more than its sentence."""
        return bool(self.facts or self.others or self.texts or self.diff)

    @property
    def has_no_content(self) -> bool:
        """Whether the service sent nothing about the request. A proxy, for example, sees no content."""
        context = self.approval.context
        return all(name in NO_CONTENT or is_fine_print(name, value) for name, value in context.items())

    @property
    def covers(self) -> str:
        """What an approval covers that the page cannot show, in sentences."""
        context, sentences = self.approval.context, []
        if is_exact(self.approval):
            sentences.append(_("An approval covers exactly what the agent sends now, also what is not shown here."))
        if is_digest("definition", context.get("definition")):
            sentences.append(_("An approval covers only the tool as the service describes it now."))
        return " ".join(sentences)

    @property
    def is_exact(self) -> bool:
        return is_exact(self.approval)


def outlines(
    approvals: Iterable[Approval], now: datetime, services: Mapping[str, Services] | None = None
) -> list[Outline]:
    """Return the requests as lists show them, in this order. `services` are their services, if already read."""
    listed = list(approvals)
    services = services_by_approval(listed) if services is None else services
    chains = describe_agents(one.chain_agents for one in listed)
    return [
        Outline(one, one.status_at(now), _sentence(one), scopes_of(one), services[one.pk], agents)
        for one, agents in zip(listed, chains, strict=True)
    ]


def describe(approval: Approval, now: datetime) -> Asked:
    context = approval.context
    diff = read_diff(context["diff"]) if _is_text("diff", context) else []
    others = {name: value for name, value in context.items() if not _has_place(name, context)}
    (agents,) = describe_agents([approval.chain_agents])
    return Asked(
        approval=approval,
        status=approval.status_at(now),
        sentence=_sentence(approval),
        scopes=scopes_of(approval),
        services=services_by_approval([approval])[approval.pk],
        agents=agents,
        facts=list(_main_facts(approval)),
        texts=[
            Fact(labels()[name], visible_text(context[name]))
            for name in TEXTS
            if _is_text(name, context) and not (name == "diff" and diff)
        ],
        diff=diff,
        others=facts_in(others),
        digests=[Fact(labels()[name], str(value)) for name, value in context.items() if is_digest(name, value)],
        durations=_durations(approval.consent.expires_at - now) if approval.names_target and not agents else [],
        action=action_title(approval.action)
        if approval.action in action_titles()
        else escape_invisible(approval.action),
        reasons=list(_reasons(approval)),
        guard_reason=_guard_reason() if approval.asked_by_rule == DATA_FLOW else "",
        is_critical=needs_recent_sign_in(approval),
        fixed=fixed_names(approval),
    )


def _sentence(approval: Approval) -> SafeString:
    if approval.times_per_day is not None:
        return say_rule(approval, ceiling_of(approval), approval.times_per_day)
    return say_up_to(approval, ceiling_of(approval)) if approval.is_standing else say(approval)


def _reasons(approval: Approval) -> Iterator[str]:
    """Yield why the user is asked, in sentences."""
    if approval.asked_scopes:
        yield _("This agent may use this permission only if you approve it.")
    if approval.asked_by_rule == DATA_FLOW:
        yield _guard_reason()
    elif approval.asked_by_rule:
        yield _("An organization's rule requires your approval.")


def _guard_reason() -> str:
    # The labels of calls say what these may do. Nobody has seen whether they did it.
    return _(
        "This task may have read private data and content that others wrote, and this request may send something out."
    )


def _main_facts(approval: Approval) -> Iterator[Fact]:
    """Yield the main fields, other than those that the sentence shows in full."""
    context, act = approval.context, Act.of(approval)
    parts = {name: part for name, part in summarize(act).parts.items() if _is_whole(part)}
    said = {
        name: context.get(name) for name in ("verb", "amount") if name in parts and (name != "verb" or says_verb(act))
    }
    said |= {name: parts[name].value for name in ("recipient", "target") if name in parts}
    for name in NAMED:
        if name in context and not (name in said and said[name] == context[name]):
            yield Fact(labels()[name], _amount(context[name]) if name == "amount" else stated(context[name]))
    if approval.resource and said.get("target") != approval.resource:
        yield Fact(_("Resource"), escape_invisible(approval.resource))
    if are_labels(context.get("labels")):
        words = [str(words) for label, words in LABEL_WORDS.items() if label in context["labels"]]
        yield Fact(labels()["labels"], listed(words))


def _is_whole(part: Part) -> bool:
    """Return whether a sentence shows the part in full."""
    return part.kind is not Kind.STATED or len(stated(part.value)) <= MAX_PART


def _has_place(name: str, context: dict[str, Any]) -> bool:
    return name in NAMED or _is_text(name, context) or is_fine_print(name, context[name])


def _is_text(name: str, context: dict[str, Any]) -> bool:
    return name in TEXTS and isinstance(context.get(name), str)


def _amount(amount: Any) -> str:
    """Return the amount in the user's locale. Anything other than a value with a currency is shown as it was sent."""
    return money(amount) if read_amount(amount) else stated(amount)


def _durations(left: timedelta) -> list[tuple[int, str]]:
    """Return the durations that the user may approve, in seconds, with their buttons. None exceeds the connection's."""
    words = {
        HOUR: _("Approve for 1 hour"),
        DAY: _("Approve for 1 day"),
        7 * DAY: _("Approve for 7 days"),
        30 * DAY: _("Approve for 30 days"),
    }
    return [(seconds, words[seconds]) for seconds in DURATIONS if seconds < left.total_seconds()]
