from functools import cached_property
from typing import Annotated

from django.utils.translation import gettext_noop, ngettext
from pydantic import Field

from core.formats import number
from limits.sliding_window import CounterRequest
from policies.rules.base import Denial, RuleContext, register
from policies.rules.kinds import LimitKind
from policies.rules.ledger import Ledger, subject_of
from policies.rules.limiting import CountingRule, Period, Scope, counted
from policies.rules.words import Titles, period_in_words

MAX_REQUESTS = 1_000_000


@register("rate_limit", title=gettext_noop("Rate limit"))
class RateLimit(CountingRule):
    """Allow at most `maxRequests` requests in any window of `windowSeconds`. Denied requests do not count."""

    max_requests: Annotated[int, Field(ge=1, le=MAX_REQUESTS, title=gettext_noop("Maximum requests"))]
    window_seconds: Period
    scope: Scope

    def check(self, ctx: RuleContext) -> Denial | None:
        """Return None: the limit is exact only if it is counted in the decision's transaction."""
        return None

    @cached_property
    def kind(self) -> LimitKind:
        return LimitKind.of(self.window_seconds, self.scope, actions=self.actions)

    def counters(self, ledger: Ledger, ctx: RuleContext) -> tuple[CounterRequest, ...]:
        """Return the counter of this limit for the request."""
        subject = subject_of(self.scope, agent_id=ctx.agent_id, user_id=ctx.user_id)
        return (ledger.request(self.kind, subject, self.max_requests, ctx.now),)

    def in_words(self, titles: Titles | None = None) -> str:
        times = ngettext("At most once per %(period)s", "At most %(times)s times per %(period)s", self.max_requests)
        words = {"times": number(self.max_requests), "period": period_in_words(self.window_seconds)}
        return counted(times % words, self.scope, titles)
