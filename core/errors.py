"""Errors that a caller can act on, as data: a stable code, a status, and what to do about it.

A surface turns them into RFC 9457 problem details or into a page; the domain knows neither.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field, by its name on the wire (`rules.0.config.timezone`)."""

    field: str
    message: str


class DomainError(Exception):
    """A refusal with a stable `code`. Subclasses set `code`, `status` and `title`."""

    code = "error"
    status = 400
    title = "The request cannot be carried out"

    def __init__(self, detail: str = "", *, errors: tuple[FieldError, ...] = ()) -> None:
        self.detail = detail or self.title
        self.errors = errors
        super().__init__(self.detail)


class Invalid(DomainError):
    """A field is wrong; `errors` names it."""

    code = "validation_failed"
    title = "The request is not valid"

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        return cls(message, errors=(FieldError(field, message),))


class NotAuthenticated(DomainError):
    """No credential, or a wrong one."""

    code = "not_authenticated"
    status = 401
    title = "A valid credential is needed"


class Forbidden(DomainError):
    code = "forbidden"
    status = 403
    title = "This credential does not allow that"


class NotFound(DomainError):
    """Absent, or somebody else's: the two look alike on purpose."""

    code = "not_found"
    status = 404
    title = "There is nothing here"


class Conflict(DomainError):
    code = "conflict"
    status = 409
    title = "The current state does not allow that"


class Gone(DomainError):
    code = "gone"
    status = 410
    title = "It is too late for that"


class Throttled(DomainError):
    """Too many attempts. `retry_after` is in whole seconds."""

    code = "throttled"
    status = 429
    title = "Too many attempts"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts; try again in {_in_words(retry_after)}.")
        self.retry_after = retry_after


class Unavailable(DomainError):
    """We cannot decide safely now, so we refuse."""

    code = "unavailable"
    status = 503
    title = "The service cannot answer now"


def _in_words(seconds: int) -> str:
    """Return the time as a person says it; a window ends up to a slot later than the limit's own words."""
    if seconds < 50:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    minutes = round(seconds / 60)
    if minutes < 60:
        return "about a minute" if minutes == 1 else f"about {minutes} minutes"
    hours = round(minutes / 60)
    return "about an hour" if hours == 1 else f"about {hours} hours"
