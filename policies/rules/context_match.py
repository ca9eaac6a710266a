from typing import Annotated

from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import BeforeValidator, Field

from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.conditions import Budget, Condition, require_list

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
        BeforeValidator(require_list),
    ]

    def check(self, ctx: RuleContext) -> Denial | None:
        budget = Budget()
        for condition in self.conditions:
            if problem := condition.problem(ctx.context, ctx.resource, budget):
                return Denial(problem)
        return None

    def in_words(self) -> str:
        conditions = [condition.sentence() for condition in self.conditions]
        return _("Only if %(conditions)s") % {"conditions": get_text_list(conditions, _("and"))}
