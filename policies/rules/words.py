"""Words that the sentences of several rule types share.

Developers read the ids of a rule. Users read titles: the sentences for them get `Titles`
(`resources.actions.titles_for_users`), because this package reads no catalogue.
"""

from collections.abc import Iterable, Iterator, Mapping

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.local import listed
from resources.categories import CATEGORY_NAMES

# Titles of scopes and actions in the language of the page, by id.
type Titles = Mapping[str, str]

WEEK = 604_800
# Of a pattern that matches many actions.
MAX_TITLES = 5


def period_in_words(seconds: int) -> str:
    """Return the period as it follows "per", in its largest whole unit: "hour", "week", "15 minutes"."""
    if seconds == WEEK:
        return _("week")
    if seconds % 86_400 == 0:
        count, words = seconds // 86_400, ngettext("day", "%(count)d days", seconds // 86_400)
    elif seconds % 3600 == 0:
        count, words = seconds // 3600, ngettext("hour", "%(count)d hours", seconds // 3600)
    elif seconds % 60 == 0:
        count, words = seconds // 60, ngettext("minute", "%(count)d minutes", seconds // 60)
    else:
        count, words = seconds, ngettext("second", "%(count)d seconds", seconds)
    return words % {"count": count}


def list_actions(patterns: Iterable[str], titles: Titles | None) -> str:
    """Return what action patterns stand for, for developers as they are. Users do not get what has no title."""
    if titles is None:
        return listed(patterns)
    names = dict.fromkeys(name for pattern in patterns for name in _titles_of(pattern, titles))
    others = [_("other actions that have no name here")] if "" in names else []
    return listed([*filter(None, names), *others])


def chain_in_words(*, is_refused: bool) -> str:
    """Return for users what a rule says of work that another agent handed over. They do not get its IDs."""
    if is_refused:
        return _("Nothing that another agent handed over")
    return _("Work from other agents only if the developer accepts it")


def _titles_of(pattern: str, titles: Titles) -> Iterator[str]:
    """Yield the title of an action, or of each that a pattern matches. Empty for what has none."""
    if pattern == "*":
        yield _("everything")
    elif not pattern.endswith("*"):
        yield _title_of(pattern, titles)
    elif pattern[-2:-1] == ":" and pattern[:-2] in CATEGORY_NAMES:
        yield _("everything in “%(category)s”") % {"category": CATEGORY_NAMES[pattern[:-2]]}
    else:
        found = [name for name in titles if name.startswith(pattern[:-1])]
        yield from (_title_of(name, titles) for name in found[:MAX_TITLES])
        if not found or len(found) > MAX_TITLES:
            yield ""


def _title_of(action: str, titles: Titles) -> str:
    """Return the title of an action in quotation marks, or "" if it has none."""
    return _("“%(title)s”") % {"title": titles[action]} if action in titles else ""
