from functools import cached_property

from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.patterns import Matcher, Patterns, asked_actions


@register("action_blocklist", title="Blocked actions")
class ActionBlocklist(Rule):
    """Deny a request if its action or any of its required scopes is listed."""

    actions: Patterns

    @cached_property
    def matcher(self) -> Matcher:
        return Matcher.of(self.actions)

    def check(self, ctx: RuleContext) -> Denial | None:
        if any(map(self.matcher.matches, asked_actions(ctx))):
            return Denial("The request asks for a blocked action.")
        return None

    def sentence(self) -> str:
        if not self.actions:
            return _("No actions are blocked")
        return _("Never %(actions)s") % {"actions": get_text_list(list(self.actions), _("or"))}
