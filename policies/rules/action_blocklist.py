from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.patterns import Patterns
from policies.rules.words import Titles, list_actions


@register("action_blocklist", title=gettext_noop("Blocked actions"))
class ActionBlocklist(Rule):
    """Deny a request if its action or any of its required scopes is listed."""

    lists_actions = True

    actions: Patterns

    @property
    def depends_on_agent(self) -> bool:
        return False

    def check(self, ctx: RuleContext) -> Denial | None:
        if self.names_any(ctx):
            return Denial("The request asks for a blocked action.")
        return None

    def in_words(self, titles: Titles | None = None) -> str:
        if not self.actions:
            return _("No actions are blocked")
        return _("Never allowed: %(actions)s") % {"actions": list_actions(self.actions, titles)}
