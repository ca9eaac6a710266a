from functools import cached_property
from typing import Annotated, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import AfterValidator, Field

from core.formats import money
from core.money import CURRENCIES, VALUE, read_amount, units_of
from core.text import nearest
from core.validation import did_you_mean, invalid_value
from limits.sliding_window import CounterRequest
from policies.rules.base import Denial, RuleContext, register
from policies.rules.kinds import LimitKind
from policies.rules.ledger import Ledger, subject_of
from policies.rules.limiting import CountingRule, Period, Scope, counted
from policies.rules.words import Titles, period_in_words

AMOUNT = "amount"
NO_AMOUNT = Denial("The request states no amount that can be read.")
OTHER_CURRENCY = Denial("The amount is not in the currency of the limit.")
TOO_MUCH = Denial("The amount is above the limit.")


class Stated(NamedTuple):
    """The amount of a call, in units of 10**-8."""

    currency: str
    units: int


def _stated(ctx: RuleContext) -> Stated | None:
    """Return the amount that the service states, or None if it cannot be read. A call can have many limits."""
    kept = ctx.budget.find(AMOUNT) if ctx.budget else None
    if kept is not None:
        found: Stated | None = kept[0]
        return found
    amount = read_amount(ctx.context.get(AMOUNT))
    stated = Stated(amount.currency, amount.units) if amount else None
    if ctx.budget:
        ctx.budget.keep(AMOUNT, stated)
    return stated


def _require_amount(text: str) -> str:
    if not (VALUE.fullmatch(text) and units_of(text)):
        raise invalid_value(
            gettext_noop("Must be a decimal number above 0 as text, such as 100.00, with at most 8 decimals.")
        )
    return text


def _require_currency(text: str) -> str:
    if text not in CURRENCIES:
        message = gettext_noop("Must be a currency code of ISO 4217, such as EUR.")
        raise invalid_value(did_you_mean(message, nearest(text.upper(), CURRENCIES)))
    return text


@register("spend_limit", title=gettext_noop("Spending limit"))
class SpendLimit(CountingRule):
    """Allow requests whose amounts add up to at most `maxAmount` in any window of `windowSeconds`.

    The service states the amount in `context.amount`. A request without an amount, or with one in another currency, is
    denied. Denied requests do not count. An amount that is reserved counts until it is committed or voided.
    """

    max_amount: Annotated[
        str,
        AfterValidator(_require_amount),
        Field(title=gettext_noop("Maximum amount"), description=gettext_noop("For example 100.00.")),
    ]
    currency: Annotated[
        str,
        AfterValidator(_require_currency),
        Field(title=gettext_noop("Currency"), description=gettext_noop("For example EUR.")),
    ]
    window_seconds: Period
    scope: Scope

    def check(self, ctx: RuleContext) -> Denial | None:
        """Deny what can never fit. The limit itself is exact only if it is counted in the decision's transaction."""
        stated = _stated(ctx)
        if stated is None:
            return NO_AMOUNT
        if stated.currency != self.currency:
            return OTHER_CURRENCY
        return TOO_MUCH if stated.units > self.max_units else None

    @cached_property
    def kind(self) -> LimitKind:
        return LimitKind.of(self.window_seconds, self.scope, self.currency, self.actions)

    @cached_property
    def max_units(self) -> int:
        return units_of(self.max_amount)

    def counters(self, ledger: Ledger, ctx: RuleContext) -> tuple[CounterRequest, ...]:
        """Return the counter of this limit for the request. Without an amount, it takes nothing."""
        subject = subject_of(self.scope, agent_id=ctx.agent_id, user_id=ctx.user_id)
        stated = _stated(ctx)
        units = stated.units if stated else 0
        return (ledger.amount_request(self.kind, subject, self.max_units, ctx.now, units),)

    def in_words(self, titles: Titles | None = None) -> str:
        amount = money({"value": self.max_amount, "currency": self.currency})
        words = {"amount": amount, "period": period_in_words(self.window_seconds)}
        return counted(_("At most %(amount)s per %(period)s") % words, self.scope, titles)
