"""The terms of a consent in words: how its user bounds what they granted."""

from collections.abc import Iterator

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from consent.models import Consent
from consent.terms import ASK, DATA_FLOW, DENY, Terms
from core.administration import show_lines
from core.text import plain_text
from web.user.connections.limits.words import limits_in_words
from web.user.consent.targets import identifiers_of

GUARDS = {
    ASK: gettext_lazy("Data: the user is asked before anything can leave after private data and the text of others."),
    DENY: gettext_lazy("Data: nothing can leave after private data and the text of others."),
}


def terms_in_words(consent: Consent) -> SafeString | str:
    """Return a line for each scope that the user bounds, and one for the guard. Empty if nothing is bounded."""
    terms = Terms.read(consent.terms)
    titles = {one.get("id"): plain_text(one.get("title")) for one in consent.shown_scopes}
    bounds = {scope: list(_bounds(consent, terms, scope)) for scope in consent.granted_scopes}
    lines = [_line(titles.get(scope) or scope, found) for scope, found in bounds.items() if found]
    guard = GUARDS.get(terms.guards.get(DATA_FLOW, ""))
    removed = [scope for scope, kinds in terms.history.items() if kinds]
    lines += [format_html("{}", guard)] if guard else []
    lines += [_line(titles.get(scope) or scope, [_("a removed limit still counts")]) for scope in removed]
    return show_lines(lines)


def _line(title: str, bounds: list[str]) -> SafeString:
    return format_html("<bdi>{}</bdi>: <bdi>{}</bdi>", title, get_text_list(bounds, _("and")))


def _bounds(consent: Consent, terms: Terms, scope: str) -> Iterator[str]:
    if terms.modes.get(scope) == ASK:
        yield _("the user is asked every time")
    yield from (plain_text(one) for one in limits_in_words(terms.limits.get(scope, ())))
    if targets := [plain_text(one) for one in identifiers_of(consent, scope)]:
        yield _("only for %(targets)s") % {"targets": ", ".join(targets)}
