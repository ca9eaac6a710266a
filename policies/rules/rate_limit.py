from typing import Annotated, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from pydantic import Field

from core.sliding_window import CounterRequest, counter_key
from policies.rules.base import Denial, Rule, RuleContext, register

MAX_REQUESTS = 1_000_000
MAX_WINDOW_SECONDS = 2_592_000  # 30 days


@register("rate_limit")
class RateLimit(Rule):
    """Never more than so many allowed calls in any window of that length."""

    max_requests: Annotated[int, Field(ge=1, le=MAX_REQUESTS)]
    window_seconds: Annotated[int, Field(ge=1, le=MAX_WINDOW_SECONDS)]
    scope: Literal["per_user", "per_agent", "global"]

    def check(self, ctx: RuleContext) -> Denial | None:
        """Return None: the limit is exact only where it is counted, in the decision's transaction."""
        return None

    def counters(self, policy_id: str, ctx: RuleContext) -> tuple[CounterRequest, ...]:
        """Return the one counter of this limit for the call.

        The key leaves out the limit and the rule's place: editing or moving a rule hands out no second quota.
        """
        key = counter_key("rate", policy_id, self.window_seconds, self.scope, self._subject(ctx))
        return (CounterRequest(key, self.max_requests, self.window_seconds),)

    def sentence(self) -> str:
        calls = ngettext("At most %(count)d call", "At most %(count)d calls", self.max_requests)
        return _("%(calls)s in any %(window)s, %(whom)s") % {
            "calls": calls % {"count": self.max_requests},
            "window": _window(self.window_seconds),
            "whom": self._whom(),
        }

    def _subject(self, ctx: RuleContext) -> str:
        """Return whose calls are counted together. A call without a person counts for its agent."""
        if self.scope == "global":
            return "all"
        if self.scope == "per_agent" or ctx.user_id is None:
            return ctx.agent_id
        return ctx.user_id

    def _whom(self) -> str:
        words = {
            "per_user": _("for each person"),
            "per_agent": _("for each agent"),
            "global": _("for all together"),
        }
        return words[self.scope]


def _window(seconds: int) -> str:
    """Return the length in its largest whole unit: "hour", "15 minutes"."""
    if seconds % 86_400 == 0:
        count, words = seconds // 86_400, ngettext("day", "%(count)d days", seconds // 86_400)
    elif seconds % 3600 == 0:
        count, words = seconds // 3600, ngettext("hour", "%(count)d hours", seconds // 3600)
    elif seconds % 60 == 0:
        count, words = seconds // 60, ngettext("minute", "%(count)d minutes", seconds // 60)
    else:
        count, words = seconds, ngettext("second", "%(count)d seconds", seconds)
    return words % {"count": count}
