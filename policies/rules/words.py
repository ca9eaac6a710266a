"""Words that the sentences of several rule types share."""

from django.utils.translation import ngettext


def in_words(seconds: int) -> str:
    """Return the duration in its largest whole unit: "hour", "15 minutes"."""
    if seconds % 86_400 == 0:
        count, words = seconds // 86_400, ngettext("day", "%(count)d days", seconds // 86_400)
    elif seconds % 3600 == 0:
        count, words = seconds // 3600, ngettext("hour", "%(count)d hours", seconds // 3600)
    elif seconds % 60 == 0:
        count, words = seconds // 60, ngettext("minute", "%(count)d minutes", seconds // 60)
    else:
        count, words = seconds, ngettext("second", "%(count)d seconds", seconds)
    return words % {"count": count}
