"""What a scope does not allow, worded so that scopes on the same page do not contradict each other."""

from collections.abc import Iterable

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from core.local import listed_html
from core.text import plain_text
from resources.actions import action_title
from resources.catalogue import Scope
from resources.contexts import CANNOT


def cannot_beside(scope: Scope, others: Iterable[Scope]) -> SafeString:
    """Return sentences about what the scope does not allow. They except what the other scopes allow, and name those.

    The sentences call the others separate permissions, so they are true even if the user allows none of those.
    """
    elsewhere = {action: other for other in others if other.id != scope.id for action in (other.id, *other.covers)}
    named = {elsewhere[action].id: elsewhere[action] for action in scope.excludes if action in elsewhere}
    titles = listed_html(_title(other) for other in named.values())
    separate = format_html(
        ngettext("Separate permission: {titles}.", "Separate permissions: {titles}.", len(named)), titles=titles
    )
    if scope.defined_by:  # The organization wrote these words, and only the organization can leave anything out.
        cannot = format_html(_("Cannot: {what}."), what=format_html("<bdi>{}</bdi>", plain_text(scope.cannot)))
        return format_html("{} {}", cannot, separate) if named else cannot
    if not named:
        sentence = f"Cannot {scope.cannot}."
        return format_html("{}", pgettext(CANNOT, sentence))
    left = [action_title(action) for action in scope.excludes if action not in elsewhere]
    excluded = format_html(_("Not included: {actions}."), actions=listed_html(left))
    return format_html("{} {}", excluded, separate) if left else separate


def _title(scope: Scope) -> SafeString | str:
    # Only the catalogue's titles are sure to be in our language.
    return format_html("<bdi>{}</bdi>", plain_text(scope.title)) if scope.defined_by else scope.local_title
