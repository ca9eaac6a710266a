"""Emails that tell a user what an agent no longer needs to ask."""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.mail_text import Words
from accounts.mails import Content, Occasion, mail
from accounts.models import User
from accounts.notices import add_notice
from agents.mails import permission
from approvals.mails import act_in_words, fixed_names, service_facts
from approvals.models import Approval
from approvals.selectors import scopes_of
from consent.notices import about_access
from core.actor import Actor
from core.formats import exactly

# No email is sent about approvals that last no longer than this: the user has just given them, and they end soon.
SHORT = timedelta(days=1)


def announce_standing(*, actor: Actor, approval: Approval, user: User, at: datetime) -> None:
    """Email the user about a new rule or long approval, if they want such emails."""
    is_short = not approval.is_rule and approval.expires_at - at <= SHORT
    if is_short or not user.grant_mails:
        return
    add_notice("asks_less", user=user, actor=actor, at=at, facts={"approval": approval.id})


@mail("asks_less")
def asks_less(occasion: Occasion) -> Content:
    approval = Approval.objects.select_related("consent__agent__organization").get(pk=occasion.facts["approval"])
    act = {"request": act_in_words(approval, is_ceiling=True)}
    return about_access(
        occasion,
        approval.consent,
        subject=_("An agent may now do something without asking you"),
        act=Words(_("Allowed without asking: %(request)s"), **act),
        permissions=[permission(scope.id, scope.title, scope.risk_level) for scope in scopes_of(approval)],
        bounds=[(_("Until"), exactly(approval.expires_at, "short")), *service_facts(approval), *_bounds(approval)],
    )


def _bounds(approval: Approval) -> list[tuple[str, str]]:
    """Return what the approval is limited to."""
    names, times = fixed_names(approval), approval.times_per_day
    same = [(_("Must be the same as in the request"), names)] if names else []
    often = ngettext("Once a day", "%(times)s times a day", times or 0) % {"times": times}
    return [
        *same,
        (_("May differ"), _("Only the text, the changes and the task. The amount may be lower.")),
        *([(_("At most"), often)] if times else []),
        (_("Still apply"), _("Your limits, and “Protect your data”, except where it was the reason you were asked.")),
    ]
