"""The page "This was not me", which stops further access, reports the entry, and says what to do next."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from agents.issued import issued_since
from audit.events import Event
from audit.readers.reading import AuditEntry
from audit.selectors import entry_for_user
from consent.disputes import Stop, dispute_activity, find_report
from consent.models import Consent
from consent.selectors import current_consent
from core import clock
from core.errors import NotFound
from core.formats import date_of
from core.http import SeeOther
from developers.selectors import memberships_of
from web.forms.moments import start_of_day
from web.requests.access import signed_in, user_actor, user_form
from web.user.activity.dispute_form import DisputeForm
from web.user.activity.items import read_items


@user_form
def dispute(request: HttpRequest, entry_id: str) -> HttpResponse:
    """Show what the user can stop. After the report, the same page says what to do next."""
    user = signed_in(request)
    entry = entry_for_user(user.id, entry_id)
    (item,) = read_items([entry], user.id)
    if not item.is_disputable:
        raise NotFound("This entry cannot be reported.")
    consent = current_consent(user, entry.consent_id) if entry.consent_id else None
    is_live = consent is not None and consent.status_at(clock.now()) == Consent.Status.APPROVED
    initial = {"stop": Stop.ALL_AGENTS} if item.event == Event.AGENTS_RESUMED else None
    is_developer, day = memberships_of(user).exists(), date_of(entry.timestamp)
    form = DisputeForm(
        request.POST or None,
        has_connection=is_live,
        is_agents=item.is_call,
        is_developer=is_developer,
        day=day,
        initial=initial,
    )
    if request.method == "POST" and form.is_valid():
        _report(request, entry, consent, form)
        return SeeOther(reverse("web:dispute", args=[entry_id]))
    since = start_of_day(day)
    context = {
        "item": item,
        "form": form,
        "report": find_report(user.id, entry),
        "has_developer": consent is not None and consent.agent.organization_id is not None,
        "is_developer": is_developer,
        "issued": issued_since(user, since) if is_developer else None,
        "issued_since": since,
        "day": day,
    }
    return render(request, "web/user/activity/dispute.html", context, status=422 if form.is_bound else 200)


def _report(request: HttpRequest, entry: AuditEntry, consent: Consent | None, form: DisputeForm) -> None:
    dispute_activity(
        actor=user_actor(request),
        user=signed_in(request),
        entry=entry,
        consent=consent,
        stop=form.chosen_stop,
        kept_key=request.session.session_key if form.cleaned_data["sessions"] else None,
        issued_since=form.issued_since,
    )
    messages.success(request, _("Reported. What you chose takes effect at once."))
