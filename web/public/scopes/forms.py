"""The search form of the scope catalogue. It is in the URL, so a view can be bookmarked and shared."""

from django import forms
from django.utils.translation import gettext_lazy as _

from resources.catalogue import Scope
from resources.categories import category_name
from resources.risks import RISK_LEVELS, RISK_WORDS

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
        text = f"{scope.id} {scope.title} {scope.description} {scope.cannot} {category_name(scope.category)}".lower()
        return all(word in text for word in data["q"][:MAX_QUERY].lower().split())
