"""Accept a rule that follows from the user's answers. The user undoes it by revoking its approval."""

import re

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from approvals.errors import SuggestionChanged
from approvals.selectors import approval_for_user
from approvals.standing_rules import accept_suggestion
from core.errors import Invalid
from core.http import SeeOther
from core.money import read_amount
from web.requests.access import for_users, posted_from, signed_in, user_actor
from web.requests.ids import ID
from web.user.approvals.detail_views import page_of
from web.user.approvals.problems import INACTIVE, why_inactive

NUMBER = re.compile(r"[1-9][0-9]{0,5}")


@posted_from("web:approvals")
@for_users
def accept(request: HttpRequest) -> HttpResponse:
    """Create the rule that the page offered, with the example, the ceiling and the number per day that it showed.

    If it can no longer be created, redirect back to the page, which says why and offers what follows now.
    """
    form, user = request.POST, signed_in(request)
    if not ID.fullmatch(form.get("example", "")):
        raise Invalid(_("Choose one of the buttons."))
    example = approval_for_user(user, form["example"])
    value, currency = form.get("value", ""), form.get("currency", "")
    ceiling = read_amount({"value": value, "currency": currency})
    if (value and ceiling is None) or not NUMBER.fullmatch(form.get("per_day", "")):
        raise Invalid(_("Choose one of the buttons."))
    actor, per_day = user_actor(request), int(form["per_day"])
    try:
        accept_suggestion(actor=actor, example=example, user=user, ceiling=ceiling, per_day=per_day)
    except SuggestionChanged:
        messages.error(request, _("Nothing was allowed. Your answers no longer lead to this rule."))
    except INACTIVE as error:
        messages.error(request, _("Nothing was allowed. %(reason)s.") % {"reason": why_inactive(error)})
    else:
        messages.success(
            request,
            _(
                "Allowed from now on, without asking you. Your limits and “Protect your data” still apply. You can "
                "undo this at any time."
            ),
        )
    return SeeOther(page_of(request, example))
