"""Settings > Organization: its name, terms and contact."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.errors import Invalid
from core.http import SeeOther
from developers.models import Developer
from developers.profiles import MAX_EMAIL, MAX_NAME, update_organization
from developers.roles import Right
from web.forms.fields import PlainField, show_in
from web.requests.access import developer_actor, developer_form
from web.requests.kept_post import take_initial
from web.requests.portal import portal_url


class OrganizationForm(forms.Form):
    name = PlainField(
        label=gettext_lazy("Name"),
        max_length=MAX_NAME,
        help_text=gettext_lazy("Users see it next to each of your agents."),
    )
    terms_url = PlainField(
        label=gettext_lazy("Terms of service"),
        required=False,
        widget=forms.URLInput(attrs={"placeholder": "https://acme.com/terms"}),
        help_text=gettext_lazy("The consent screen links to them. Each agent has a privacy policy of its own."),
    )
    contact_email = PlainField(
        label=gettext_lazy("Contact"),
        required=False,
        max_length=MAX_EMAIL,
        widget=forms.EmailInput(attrs={"placeholder": "support@acme.com"}),
        help_text=gettext_lazy("The email address that users see for questions about your agents."),
    )
    ends_verification = forms.BooleanField(
        label=gettext_lazy("Change the name, and have the organization verified again"), required=False
    )

    def __init__(self, *args: Any, is_verified: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields(["name", "ends_verification"])
        if is_verified:
            self.fields["ends_verification"].help_text = _(
                "Your organization is verified under its name. Under another name, it is not verified: an "
                "administrator of AgentGate must check it again."
            )
        else:
            del self.fields["ends_verification"]

    def clean(self) -> dict[str, Any]:
        confirms = self.cleaned_data.pop("ends_verification", True)
        if not confirms and "name" in self.changed_data:
            self.add_error("ends_verification", _("Tick this to change the name."))
        return self.cleaned_data


@developer_form(Right.READ, post=Right.ADMINISTER)
def organization(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Show what the organization says about itself. POST changes it."""
    own = developer.organization
    stored = {name: getattr(own, name) for name in ("name", "terms_url", "contact_email")}
    kept = take_initial(request, OrganizationForm)
    data = request.POST if request.method == "POST" else None
    form = OrganizationForm(data, initial=stored | (kept if data is None else {}), is_verified=own.is_verified)
    if form.is_valid():
        try:
            changed = update_organization(
                actor=developer_actor(request, developer), organization=own, **form.cleaned_data
            )
        except Invalid as error:
            show_in(form, error)
        else:
            messages.success(request, _("Saved.") if changed else _("Nothing has changed."))
            return SeeOther(portal_url(developer.organization_id, "organization"))
    status = 422 if form.is_bound else 200
    return render(
        request, "web/portal/organization/organization.html", {"form": form, "organization": own}, status=status
    )
