from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from core.local import listed
from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.patterns import Patterns


@register("action_blocklist", title=gettext_noop("Blocked actions"))
class ActionBlocklist(Rule):
    """Deny a request if its action or any of its required scopes is listed."""

    lists_actions = True

    actions: Patterns

    def check(self, ctx: RuleContext) -> Denial | None:
        if self.names_any(ctx):
            return Denial("The request asks for a blocked action.")
        return None

    def in_words(self) -> str:
        if not self.actions:
            return _("No actions are blocked")
        return _("Never %(actions)s") % {"actions": listed(self.actions, "or")}
