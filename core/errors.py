"""Errors that a caller can act on, each with a stable code, a status and a remedy.

The surfaces turn them into RFC 9457 problem details or into pages. Domain code knows neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from gettext import NullTranslations

from django.utils.translation import gettext, gettext_noop, ngettext

from core.wording import translated

ENGLISH = NullTranslations()


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one field, by its path in the JSON body (`rules.0.config.timezone`)."""

    field: str
    message: str

    @property
    def translated(self) -> str:
        """The message in the user's language."""
        return translated(self.message)


class DomainError(Exception):
    """An error with a stable `code`. Subclasses set `code`, `status`, `title` and `remedy`.

    `retry_after` is in how many seconds the same request may succeed, or None if waiting does not help.
    """

    code = "error"
    status = 400
    title = gettext_noop("The request could not be completed")
    remedy = ""
    retry_after: int | None = None

    def __init__(self, detail: str = "", *, errors: tuple[FieldError, ...] = ()) -> None:
        self.detail = detail or self.title
        self.errors = errors
        super().__init__(self.detail)

    @property
    def translated(self) -> str:
        """The detail in the user's language."""
        return translated(self.detail)


class Invalid(DomainError):
    """One or more fields are invalid. `errors` names them."""

    code = "validation_failed"
    title = gettext_noop("The request is not valid")
    remedy = "Correct each field listed in errors."

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        return cls(message, errors=(FieldError(field, message),))


class NotAuthenticated(DomainError):
    """The credential is missing or wrong."""

    code = "not_authenticated"
    status = 401
    title = gettext_noop("A valid credential is required")
    remedy = "Send an active credential of a kind that the endpoint accepts."


class Forbidden(DomainError):
    code = "forbidden"
    status = 403
    title = gettext_noop("This credential does not allow this request")
    remedy = "Use the kind of credential that detail asks for."


class NotFound(DomainError):
    """The object does not exist or belongs to someone else. The error does not say which."""

    code = "not_found"
    status = 404
    title = gettext_noop("Not found")
    remedy = "Check the id, and that the credential belongs to its owner."


class Conflict(DomainError):
    code = "conflict"
    status = 409
    title = gettext_noop("The request conflicts with the current state")
    remedy = "Fetch the object again, then retry if the change still applies."


class Gone(DomainError):
    code = "gone"
    status = 410
    title = gettext_noop("No longer available")
    remedy = "Start again."


class Throttled(DomainError):
    """Too many attempts."""

    code = "throttled"
    status = 429
    title = gettext_noop("Too many attempts")
    remedy = "Wait for the number of seconds in Retry-After."
    _text = gettext_noop("Too many attempts. Try again in %(wait)s.")

    def __init__(self, retry_after: int) -> None:
        super().__init__(self._text % {"wait": _in_words(retry_after, ENGLISH.ngettext)})
        self.retry_after = retry_after

    @property
    def translated(self) -> str:
        return gettext(self._text) % {"wait": _in_words(self.retry_after or 0, ngettext)}


class Unavailable(DomainError):
    """The request is refused because no safe decision is possible at the moment."""

    code = "unavailable"
    status = 503
    title = gettext_noop("The service is temporarily unavailable")
    remedy = "Try again after the number of seconds in Retry-After."
    retry_after: int | None = 1


class OutcomeUnknown(Unavailable):
    """The response comes too late to say what happened: the request may have been carried out, or still be."""

    code = "outcome_unknown"
    title = gettext_noop("The outcome of the request is unknown")
    remedy = "It may have been carried out. Repeat it with its Idempotency-Key, or if doing it twice does no harm."
    retry_after = None


def _in_words(seconds: int, ngettext: Callable[[str, str, int], str]) -> str:
    """Return a rounded duration for display. A window can last up to one slot longer than the limit says."""
    minutes = round(seconds / 60)
    if seconds < 50:
        count, words = seconds, ngettext("%(count)d second", "%(count)d seconds", seconds)
    elif minutes < 60:
        count, words = minutes, ngettext("about a minute", "about %(count)d minutes", minutes)
    else:
        count = round(minutes / 60)
        words = ngettext("about an hour", "about %(count)d hours", count)
    return words % {"count": count}
