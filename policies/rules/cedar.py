from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import AfterValidator, Field

from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.budget import Budget
from policies.rules.cedar_call import BASE, Unrepresentable, cost_of, requests_of
from policies.rules.cedar_text import Sizes, named_actions, require_policy, sizes_of
from policies.rules.words import Titles

if TYPE_CHECKING:
    from cedarpy import AuthzResult, PolicySet

FAILED = Denial("The Cedar policy cannot be evaluated for this request.")
TOO_SLOW = Denial("The Cedar policies take too long for this request: it has too many scopes, values or long texts.")
WORDS = 120


@register("cedar", title=gettext_noop("Cedar policy"))
class Cedar(Rule):
    """Allow only what a policy in Cedar permits for each required scope, and for the action if given.

    `forbid` overrides `permit`. If any statement fails with an error, the request is denied, and so is one for which
    Cedar would take too long.
    """

    most_per_policy = 2
    most_per_organization = 10

    policy: Annotated[
        str,
        Field(
            min_length=1,
            max_length=8192,
            title=gettext_noop("Policy"),
            description=gettext_noop("Statements in Cedar, such as permit (principal, action, resource);"),
            json_schema_extra={"x-unit": "text"},
        ),
        AfterValidator(require_policy),
    ]

    def check(self, ctx: RuleContext) -> Denial | None:
        budget = ctx.budget or Budget()
        kept: list[Denial | None] | None = budget.find((self.policy, self.actions))
        if kept is not None:
            return kept[0]
        denial = self._check(ctx, budget)
        budget.keep((self.policy, self.actions), denial)
        return denial

    def _check(self, ctx: RuleContext, budget: Budget) -> Denial | None:
        actions = self._decided(ctx)
        if not actions:
            return Denial("The request names no action, and the Cedar policy decides each one.")
        if not budget.spend(BASE * len(actions)):
            return TOO_SLOW
        try:
            requests, sizes = requests_of(ctx, actions)
        except Unrepresentable as error:
            return Denial(str(error))
        if not budget.spend(cost_of(self._sizes, sizes) * len(actions)):
            return TOO_SLOW
        results = self._authorize(requests)
        if len(results) != len(requests):
            return FAILED
        return next(filter(None, map(_denial, results)), None)

    def in_words(self, titles: Titles | None = None) -> str:
        if titles is not None:
            return _("Only what a program of the developer allows. It is written in the language Cedar")
        return _("Only what this Cedar policy permits: %(policy)s") % {
            "policy": Truncator(" ".join(self.policy.split()).rstrip(";")).chars(WORDS)
        }

    @cached_property
    def named_actions(self) -> Sequence[str]:
        """The actions that the policy names."""
        return named_actions(self.policy)

    @cached_property
    def _sizes(self) -> Sizes:
        return sizes_of(self.policy)

    @cached_property
    def _policies(self) -> "PolicySet":
        from cedarpy import PolicySet

        return PolicySet.from_str(self.policy)

    def _decided(self, ctx: RuleContext) -> Sequence[str]:
        """Return what the request asks for, without what `actions` leaves to others."""
        asked = dict.fromkeys(ctx.asked)
        return [each for each in asked if not self.actions or self.concerned.matches(each)]

    def _authorize(self, requests: list[dict[str, Any]]) -> Sequence["AuthzResult"]:
        """Return the result for each request, or nothing after an error."""
        from cedarpy import is_authorized_batch

        try:
            return is_authorized_batch(requests, self._policies, [])
        except BaseException as error:  # a panic in Rust is not an Exception
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                raise
            return ()


def _denial(result: "AuthzResult") -> Denial | None:
    """Return why the result denies, or None. Cedar skips statements with errors, also if they forbid."""
    if result.diagnostics.errors:
        return FAILED
    if result.allowed:
        return None
    if result.diagnostics.reasons:
        return Denial("A statement of the Cedar policy forbids the request.")
    return Denial("No statement of the Cedar policy permits the request.")
