"""The scope catalogue: all scopes, searchable by words and risk, and a page for each."""

from itertools import groupby

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from resources.catalogue import Scope, catalogue, scopes_in_category
from resources.categories import CATEGORY_NAMES, category_name
from resources.risks import RISK_LEVELS, RISK_WORDS
from web.display.labels import label_words
from web.user.consent.form import is_sensitive


@require_safe
def scopes(request: HttpRequest) -> HttpResponse:
    """Show the scopes that `?q=` and `?risk=` find, by service."""
    form = ScopeFilterForm(request.GET)
    order = list(CATEGORY_NAMES)
    found = sorted(filter(form.matches, catalogue().values()), key=lambda scope: order.index(scope.category))
    groups = [(category, list(members)) for category, members in groupby(found, key=lambda scope: scope.category)]
    context = {
        "form": form,
        "groups": groups,
        "count": len(found),
        "total": len(catalogue()),
        "risks": [(risk, _count(found, risk)) for risk in reversed(RISK_LEVELS)],
    }
    return render(request, "web/public/scopes/scopes.html", context)


@require_safe
def scope(request: HttpRequest, scope_id: str) -> HttpResponse:
    """Show one scope of the catalogue. Scopes that organizations define are shown only where agents ask for them."""
    found = catalogue().get(scope_id)
    if found is None:
        raise Http404
    others = [each for each in scopes_in_category(found.category) if each != found]
    context = {"scope": found, "labels": label_words(found), "others": others, "is_sensitive": is_sensitive(found)}
    return render(request, "web/public/scopes/scope.html", context)


def _count(found: list[Scope], risk: str) -> int:
    return sum(scope.risk_level == risk for scope in found)


MAX_QUERY = 100


class ScopeFilterForm(forms.Form):
    q = forms.CharField(
        label=_("Search"),
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "maxlength": MAX_QUERY}),
    )
    risk = forms.ChoiceField(
        label=_("Risk"),
        choices=[("", _("Any")), *((risk, RISK_WORDS[risk]) for risk in RISK_LEVELS)],
        required=False,
        widget=forms.Select(attrs={"data-auto": True}),
    )

    def matches(self, scope: Scope) -> bool:
        """Return whether the scope has this risk and contains all words. An invalid risk is ignored."""
        data = self.cleaned_data if self.is_valid() else {"q": self.data.get("q", "")}
        if data.get("risk") and scope.risk_level != data["risk"]:
            return False
        texts = (scope.title, scope.description, scope.cannot, scope.local_title, scope.can)
        text = " ".join((scope.id, *texts, category_name(scope.category))).lower()
        return all(word in text for word in data["q"][:MAX_QUERY].lower().split())
