"""What a scope does not allow, worded so that scopes on the same page do not contradict each other."""

from collections.abc import Iterable

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from core.local import listed_html
from core.text import plain_text
from resources.catalogue import Scope
from resources.contexts import CANNOT


def cannot_beside(scope: Scope, others: Iterable[Scope]) -> SafeString:
    """Return a sentence about what the scope does not allow, and one that names those of the others that allow it.

    It calls the others separate permissions, so it is true even if the user allows none of those.
    """
    elsewhere = {action: other for other in others if other.id != scope.id for action in (other.id, *other.covers)}
    named = {elsewhere[action].id: elsewhere[action] for action in scope.excludes if action in elsewhere}
    cannot = _cannot(scope)
    if not named:
        return cannot
    titles = listed_html(_title(other) for other in named.values())
    words = ngettext("{titles} is a separate permission.", "{titles} are separate permissions.", len(named))
    return format_html("{} {}", cannot, format_html(words, titles=titles))


def _cannot(scope: Scope) -> SafeString:
    if scope.defined_by:  # The organization wrote these words.
        return format_html(_("Cannot: {what}."), what=format_html("<bdi>{}</bdi>", plain_text(scope.cannot)))
    sentence = f"Cannot {scope.cannot}."
    return format_html("{}", pgettext(CANNOT, sentence))


def _title(scope: Scope) -> SafeString | str:
    title = _("“%(title)s”") % {"title": plain_text(scope.local_title)}
    # Only the catalogue's titles are sure to be in our language.
    return format_html("<bdi>{}</bdi>", title) if scope.defined_by else title
