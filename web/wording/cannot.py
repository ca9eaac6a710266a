"""What a scope does not allow, worded so that scopes on the same page do not contradict each other."""

from collections.abc import Iterable

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.text import plain_text
from resources.actions import action_titles
from resources.catalogue import Scope


def cannot_beside(scope: Scope, others: Iterable[Scope]) -> SafeString:
    """Return sentences about what the scope does not allow. They except what the other scopes allow, and name those.

    The sentences call the others separate permissions, so they are true even if the user allows none of those.
    """
    elsewhere = {action: other for other in others if other.id != scope.id for action in (other.id, *other.covers)}
    named = [elsewhere[action] for action in scope.excludes if action in elsewhere]
    if not named:
        return format_html(_("Cannot {}."), plain_text(scope.cannot))
    titles = [_quote(other) for other in {other.id: other for other in named}.values()]
    listed = format_html(get_text_list(["{}"] * len(titles), _("and")), *titles)
    if scope.defined_by:  # The organization wrote these words, and only the organization can leave anything out.
        return format_html(_("Cannot {}, except for what {} allows."), plain_text(scope.cannot), listed)
    left = [_in_sentence(action_titles().get(action, action)) for action in scope.excludes if action not in elsewhere]
    cannot = format_html(_("Cannot {}. "), get_text_list(left, _("or"))) if left else ""
    separate = ngettext("{} is a separate permission.", "{} are separate permissions.", len(titles))
    return format_html("{}{}", cannot, format_html(separate, listed))


def _quote(scope: Scope) -> SafeString:
    # Only the catalogue's titles are sure to be in our language.
    return format_html(_("“<bdi>{}</bdi>”") if scope.defined_by else _("“{}”"), plain_text(scope.title))


def _in_sentence(title: str) -> str:
    return title[:1].lower() + title[1:]
