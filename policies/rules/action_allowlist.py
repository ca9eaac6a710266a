from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from policies.rules.base import Denial, Rule, RuleContext, register
from policies.rules.patterns import Patterns
from policies.rules.words import Titles, list_actions


@register("action_allowlist", title=gettext_noop("Allowed actions"))
class ActionAllowlist(Rule):
    """Allow only listed actions: every required scope, and the action if given, must be listed."""

    lists_actions = True

    actions: Patterns

    @property
    def depends_on_agent(self) -> bool:
        return False

    def check(self, ctx: RuleContext) -> Denial | None:
        asked = ctx.asked
        if not asked:
            return Denial("The request names no action, and only listed actions are allowed.")
        self.charge(ctx, self.concerned.cost_of(asked))
        if not all(map(self.concerned.matches, asked)):
            return Denial("The request asks for an action that is not on the allowlist.")
        return None

    def in_words(self, titles: Titles | None = None) -> str:
        if not self.actions:
            return _("No actions are allowed")
        return _("Only these are allowed: %(actions)s") % {"actions": list_actions(self.actions, titles)}
