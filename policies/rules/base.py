"""What a rule is, and the registry of rule types.

To add a type, copy a module of this package: a class with its configuration as fields, a `check`,
`in_words`, and `@register("its_name", title=gettext_noop("Its title"))`. Nothing else needs to change: the portal's
form, the OpenAPI document and docs/policies.md are generated from the fields, with their `title` and `description`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from core.chains import Link
from limits.flows import FlowRequest
from limits.sliding_window import CounterRequest
from policies.rules.budget import Budget
from policies.rules.fields import refuse_many_keys
from policies.rules.ledger import Ledger
from policies.rules.patterns import Matcher, Patterns
from policies.rules.words import Titles, list_actions


class RuleContext(NamedTuple):
    """The facts of one request. `now` is aware UTC; `scopes` are the required scopes.

    `ip` is the caller's address, already resolved, or None if it is unknown. `user_id` is None if
    no user is behind the request. `chain` are the agents that handed the work on, from the first one to the one that
    acts, or nothing if it was not handed on: then `agent_id` is the one of them whose call this is to the policies.
    `labels` are those of what is asked for (`resources.catalogue.LABELS`). `policies_of`
    is the organization whose policies are evaluated, or None if it is the agent's own. All rules that decide the call
    share its `budget`. Without one, each rule has its own. `task` is what an agent called the work that it handed on,
    empty for none: never take it for what the service says in `context`.
    """

    now: datetime
    agent_id: str
    scopes: tuple[str, ...] = ()
    action: str | None = None
    resource: str | None = None
    ip: str | None = None
    context: Mapping[str, object] = MappingProxyType({})
    user_id: str | None = None
    organization_id: str | None = None
    labels: frozenset[str] = frozenset()
    policies_of: str | None = None
    budget: Budget | None = None
    chain: Sequence[Link] = ()
    task: str = ""

    @property
    def asked(self) -> tuple[str, ...]:
        """What the request asks for: its required scopes, and its action if it has one."""
        return self.scopes if self.action is None else (*self.scopes, self.action)


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a rule denies. `retry_after_seconds` is None if waiting does not help."""

    detail: str
    retry_after_seconds: int | None = None


class Rule(BaseModel, ABC):
    """One rule with its validated, immutable configuration. Fields are camelCase in JSON."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=to_camel, serialize_by_alias=True
    )

    type: ClassVar[str]
    title: ClassVar[str]

    # How many rules of the type a policy may have, and the enabled policies of an organization. None: any number.
    most_per_policy: ClassVar[int | None] = None
    most_per_organization: ClassVar[int | None] = None

    # Whether the rule counts, or remembers, in rows that are locked.
    needs_counters: ClassVar[bool] = False

    # Whether `actions` are what the rule allows or denies. Then it concerns all requests.
    lists_actions: ClassVar[bool] = False

    actions: Annotated[
        Patterns,
        Field(
            min_length=1,
            title=gettext_noop("Only for"),
            description=gettext_noop(
                "The scopes or actions that the rule concerns, such as email:send or payments:*. Default: all."
            ),
        ),
    ] = ()

    @model_validator(mode="before")
    @classmethod
    def require_few_keys(cls, data: Any) -> Any:
        """Refuse many fields with one error: a description of each that is unknown would take seconds."""
        return refuse_many_keys(data)

    @cached_property
    def concerned(self) -> Matcher:
        return Matcher.of(self.actions)

    @property
    def depends_on_agent(self) -> bool:
        """Whether calls of two agents that differ in nothing else can have different results, or counters."""
        return True

    def concerns(self, ctx: RuleContext) -> bool:
        """Return whether the rule applies to a request: one that asks for any of its `actions`."""
        return self.lists_actions or not self.actions or self.names_any(ctx)

    def names_any(self, ctx: RuleContext) -> bool:
        """Return whether a request asks for any of the `actions`. Raises `TooCostly`."""
        self.charge(ctx, self.concerned.cost_of(ctx.asked))
        return any(map(self.concerned.matches, ctx.asked))

    def charge(self, ctx: RuleContext, cost: int) -> None:
        """Take what the rule costs, in about nanoseconds, from the budget of the call. Raises `TooCostly`."""
        if ctx.budget is not None:
            ctx.budget.charge(self, cost)

    @abstractmethod
    def check(self, ctx: RuleContext) -> Denial | None:
        """Return why `ctx` is denied, or None. An exception denies too."""

    def counters(self, ledger: Ledger, ctx: RuleContext) -> tuple[CounterRequest, ...]:
        """Return the limits that the request must also pass, to be counted with the decision."""
        return ()

    def flow(self, ledger: Ledger, ctx: RuleContext) -> FlowRequest | None:
        """Return what the request means for a guard against data flows, to be decided and recorded with it."""
        return None

    def sentence(self, titles: Titles | None = None, *, names: Titles | None = None) -> str:
        """Return the rule in words, with what it concerns, in the reader's language, without a final period.

        The sentence is for developers. With `titles`, it is for users. `names` are titles of actions for developers.
        """
        if self.lists_actions:
            return self.in_words(titles or names)
        if not self.actions:
            return self.in_words(titles)
        actions = list_actions(self.actions, titles or names)
        return _("For %(actions)s: %(rule)s") % {"actions": actions, "rule": self.in_words(titles)}

    @abstractmethod
    def in_words(self, titles: Titles | None = None) -> str:
        """Return what the rule says about a request that it concerns, as `sentence` does."""


RULES: dict[str, type[Rule]] = {}


class DuplicateRuleTypeError(Exception):
    """Two rule types have the same name."""


def register[R: Rule](name: str, *, title: str) -> Callable[[type[R]], type[R]]:
    """Return a class decorator that registers a rule type as `name`. Raises `DuplicateRuleTypeError`.

    `title` is the name of this type in the portal.
    """

    def add(rule: type[R]) -> type[R]:
        if name in RULES:
            raise DuplicateRuleTypeError(f"{name}: {RULES[name].__module__} and {rule.__module__}")
        rule.type = name
        rule.title = title
        RULES[name] = rule
        return rule

    return add
