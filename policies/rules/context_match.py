from functools import cached_property
from typing import Annotated

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import Field

from core.local import listed
from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.budget import Budget
from policies.rules.conditions import Condition, list_of
from policies.rules.words import Titles

MAX_CONDITIONS = 20


@register("context_match", title=gettext_noop("Conditions on the request"))
class ContextMatch(Rule):
    """Allow only requests whose `context` and `resource` meet all conditions. A missing field denies."""

    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            min_length=1,
            max_length=MAX_CONDITIONS,
            title=gettext_noop("Conditions"),
            description=gettext_noop('For example {"field": "amount.value", "operator": "at_most", "value": "50.00"}.'),
            json_schema_extra={"x-unit": "conditions"},
        ),
        list_of(MAX_CONDITIONS),
    ]

    @property
    def depends_on_agent(self) -> bool:
        return False

    def check(self, ctx: RuleContext) -> Denial | None:
        budget = ctx.budget or Budget()
        kept: list[Denial | None] | None = budget.find(self._key)
        if kept is not None:
            return kept[0]
        denial = self._check(ctx, budget)
        budget.keep(self._key, denial)
        return denial

    def _check(self, ctx: RuleContext, budget: Budget) -> Denial | None:
        for condition in self.conditions:
            if problem := condition.problem(ctx.context, ctx.resource, budget):
                return Denial(problem)
        return None

    @cached_property
    def _key(self) -> tuple[str, str]:
        """What the result depends on besides the call: a trace asks for it again, and it is paid for once."""
        return (self.type, self.model_dump_json(include={"conditions"}))

    def in_words(self, titles: Titles | None = None) -> str:
        conditions = [condition.sentence(is_for_user=titles is not None) for condition in self.conditions]
        return _("Only if %(conditions)s") % {"conditions": listed(conditions)}
