"""Settings > Domain: claim it, publish the proof, check it, and ask administrators to verify the organization."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.events import Event
from audit.selectors import Filters, entries_for_organization
from core.errors import Conflict, Invalid, NotFound
from core.http import SeeOther
from developers.domains import GRACE, DomainTaken, check_domain, claim_domain, remove_domain, request_review
from developers.models import Developer, DomainClaim
from developers.proofs import LABEL, PATH, statement
from developers.roles import Right
from developers.selectors import domain_claim_of
from web.forms.fields import CODE_INPUT, show_in
from web.portal.logs.names import OwnNames
from web.portal.logs.rows import LogRow, read_rows
from web.requests.access import developer_actor, developer_form, for_developers, posted_from
from web.requests.portal import portal_url

DECISIONS = (Event.ORGANIZATION_VERIFIED, Event.ORGANIZATION_REVIEW_DECLINED)


MAX_DOMAIN = 253


class DomainForm(forms.Form):
    domain = forms.CharField(
        label=gettext_lazy("Domain"),
        max_length=MAX_DOMAIN,
        help_text=gettext_lazy("The domain that your users know, without https:// or a path."),
        widget=forms.TextInput(attrs={**CODE_INPUT, "inputmode": "url", "placeholder": "acme.com"}),
    )


@developer_form(Right.READ, post=Right.ADMINISTER)
def domain(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Show the domain and how to prove it. POST claims one."""
    form = DomainForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        actor, name = developer_actor(request, developer), form.cleaned_data["domain"]
        try:
            claim_domain(actor=actor, organization=developer.organization, domain=name)
        except Invalid as error:
            show_in(form, error)
        else:
            return _back(developer)
    claim = domain_claim_of(developer.organization_id)
    organization = developer.organization
    context = {
        "form": form,
        "organization": organization,
        "decision": None if organization.is_verified else _newest_decision(organization.id),
        **(_describe(claim) if claim else {}),
    }
    return render(request, "web/portal/domain/domain.html", context, status=422 if form.is_bound else 200)


@for_developers(Right.ADMINISTER)
@posted_from("portal:domain", "organization_id")
def check(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Look for the proof now, and report the result."""
    try:
        checked = check_domain(actor=developer_actor(request, developer), claim=_claim_of(developer))
    except DomainTaken as error:
        messages.error(request, error.translated)
        return _back(developer)
    if checked.method:
        messages.success(request, _("The proof is there. Users see the domain on the consent screen of your agents."))
    else:
        messages.warning(request, _("The proof was not found."))
    return _back(developer)


@developer_form(Right.ADMINISTER)
def remove(request: HttpRequest, developer: Developer) -> HttpResponse:
    claim = _claim_of(developer)
    if request.method == "POST":
        remove_domain(actor=developer_actor(request, developer), organization=developer.organization)
        messages.success(request, _("Domain removed."))
        return _back(developer)
    context = {
        "claim": claim,
        "title": _("Remove this domain?"),
        "confirm_label": _("Remove domain"),
        "back_url": portal_url(developer.organization_id, "domain"),
    }
    return render(request, "web/portal/domain/domain_remove.html", context)


@for_developers(Right.ADMINISTER)
@posted_from("portal:domain", "organization_id")
def review(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Ask administrators to verify the organization."""
    try:
        request_review(actor=developer_actor(request, developer), organization=developer.organization)
    except Conflict as error:
        messages.error(request, error.translated)
    else:
        messages.success(request, _("Your request is with the administrators of AgentGate."))
    return _back(developer)


def _back(developer: Developer) -> HttpResponse:
    return SeeOther(portal_url(developer.organization_id, "domain"))


def _claim_of(developer: Developer) -> DomainClaim:
    claim = domain_claim_of(developer.organization_id)
    if claim is None:
        raise NotFound("No domain.")
    return claim


def _newest_decision(organization_id: str) -> LogRow | None:
    """Return the newest entry, if any, in which an administrator decided whether the organization is verified."""
    found, _older = entries_for_organization(organization_id, Filters(events=DECISIONS)).page("", 1)
    return next(iter(read_rows(found, OwnNames(organization_id, {}))), None)


def _describe(claim: DomainClaim) -> dict[str, Any]:
    return {
        "claim": claim,
        "statement": statement(claim.token),
        "record": f"{LABEL}.{claim.name}",
        "file_url": f"https://{claim.name}{PATH}",
        "lost_at": claim.failing_since + GRACE if claim.failing_since else None,
        "problems": _problems(claim),
    }


def _problems(claim: DomainClaim) -> dict[str, str]:
    """Return why the last check found the proof neither in DNS nor in the file. Empty if it found one."""
    if claim.checked_at is None or claim.method:
        return {}
    dns: dict[str, str] = {
        DomainClaim.Problem.ABSENT: _("There is no such record. New records can take some minutes to appear."),
        DomainClaim.Problem.OTHER: _("There is a record with another value, perhaps of an earlier claim."),
        DomainClaim.Problem.UNREACHABLE: _("The name servers of the domain did not answer."),
    }
    file: dict[str, str] = {
        DomainClaim.Problem.ABSENT: _("The file is not there, or does not have this line."),
        DomainClaim.Problem.OTHER: _("The file has another value, perhaps of an earlier claim."),
        DomainClaim.Problem.UNREACHABLE: _(
            "The file could not be fetched. It must be served over https with a valid certificate, without a "
            "redirect, and from a public address."
        ),
    }
    return {"dns": dns.get(claim.dns_problem, ""), "file": file.get(claim.file_problem, "")}
