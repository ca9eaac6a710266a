"""The admin page that stops everything, and lifts that stop. Only superusers may use it."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.recent import require_recent_sign_in, time_of_sign_in
from administration.actions import ReasonForm, administrator
from administration.kept_form import take_reason
from administration.links import is_superuser
from administration.stop_lines import LIFTED, STOPPED, lines_of_impact, lines_of_proof
from agents.emergency import lift_emergency_stop, stop_everything
from audit.proof.stops import EVERYTHING
from audit.readers.snapshot import take_snapshot
from core import clock
from core.http import SeeOther
from developers.impact import impact_on_everything

ACTS = {
    "stop": (
        stop_everything,
        gettext_lazy("All agents are stopped."),
        gettext_lazy("All agents were already stopped."),
    ),
    "lift": (lift_emergency_stop, gettext_lazy("The stop is lifted."), gettext_lazy("The stop was already lifted.")),
}


def emergency_page(request: HttpRequest, context: dict[str, object]) -> HttpResponse:
    """Show the impact of the stop and its proof, or stop everything or lift the stop, with a reason."""
    if not is_superuser(request):
        raise PermissionDenied
    require_recent_sign_in(time_of_sign_in(request))
    act = ACTS.get(request.POST.get("act", ""))
    form = ReasonForm(request.POST if act else None, initial={"reason": take_reason(request)})
    if act and form.is_valid():
        work, done, unchanged = act
        has_changed = work(actor=administrator(request), reason=form.cleaned_data["reason"])
        (messages.success if has_changed else messages.warning)(request, done if has_changed else unchanged)
        return SeeOther(reverse("admin:emergency_stop"))
    return _show(request, context, form)


def _show(request: HttpRequest, context: dict[str, object], form: ReasonForm) -> HttpResponse:
    stop, log = context["emergency_stop"], take_snapshot()
    context |= {
        "title": _("Lift the stop of everything") if stop else _("Stop everything"),
        "stop": stop,
        "form": form,
        "impact": lines_of_impact(impact_on_everything(clock.now(), log), LIFTED if stop else STOPPED),
        "proof": lines_of_proof(EVERYTHING, log),
    }
    status = 422 if form.errors else 200
    return TemplateResponse(request, "admin/emergency_stop.html", context, status=status)
