"""Authorization details (RFC 9396): what an agent asks to act on, from which the user picks.

A detail bounds scopes: each of its `actions` is allowed only for the `identifiers` that the user picks. Users see the
identifiers as verify compares them, because a name for one would be the agent's own claim.

To add a type, add it to `AuthorizationDetail` and `TYPES`.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from consent.errors import InvalidAuthorizationDetails
from core.errors import FieldError
from core.text import echo, plain_text
from core.validation import invalid_fields, invalid_value
from core.wording import Filled

MAX_DETAILS, MAX_IDENTIFIERS, MAX_IDENTIFIER, MAX_ACTIONS, MAX_ACTION = 20, 50, 200, 100, 100
MAX_UNKNOWN = 20
FIELDS = ("type", "identifiers", "actions")

# How the consent screen names what each type identifies.
TYPES: dict[str, str | Promise] = {
    "account": _("Accounts"),
    "calendar": _("Calendars"),
    "repository": _("Repositories"),
    "target": _("Targets"),
}


def _require_visible(text: str) -> str:
    """Refuse what the screen would show differently: the user must see exactly what is compared."""
    if text != plain_text(text):
        raise invalid_value(gettext_noop("Must be one line of visible characters, without spaces around it."))
    return text


Identifier = Annotated[str, Field(min_length=1, max_length=MAX_IDENTIFIER), AfterValidator(_require_visible)]
Action = Annotated[str, Field(min_length=1, max_length=MAX_ACTION)]


class AuthorizationDetail(BaseModel):
    """What the agent asks to act on (RFC 9396 section 2). The user picks among the `identifiers`.

    `actions` are the requested scopes that it bounds. By default, these are all of them.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    type: Literal["account", "calendar", "repository", "target"]
    identifiers: list[Identifier] = Field(min_length=1, max_length=MAX_IDENTIFIERS)
    actions: list[Action] = Field([], max_length=MAX_ACTIONS)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        unknown = data.keys() - set(FIELDS) if isinstance(data, dict) else ()
        if unknown:
            message = Filled(gettext_noop("Unknown field. A detail has %(fields)s."), fields=", ".join(FIELDS))
            raise invalid_fields(cls, ((name, message) for name in sorted(unknown)[:MAX_UNKNOWN]))
        return data


def complete_details(details: Sequence[AuthorizationDetail], requested: Sequence[str]) -> list[dict[str, Any]]:
    """Return the details as a consent stores them: without repetitions, and with the scopes that each bounds.

    A scope can be bounded by one detail only. Raises `InvalidAuthorizationDetails`.
    """
    completed = [
        {
            "type": detail.type,
            "identifiers": list(dict.fromkeys(detail.identifiers)),
            "actions": list(dict.fromkeys(detail.actions or requested)),
        }
        for detail in details
    ]
    errors = tuple(_wrong_actions(completed, requested))
    if errors:
        raise InvalidAuthorizationDetails(errors[0].message, errors=errors[:MAX_UNKNOWN])
    return completed


def _wrong_actions(details: Sequence[dict[str, Any]], requested: Sequence[str]) -> Iterator[FieldError]:
    bounded: set[str] = set()
    for index, detail in enumerate(details):
        for action in detail["actions"]:
            if action not in requested:
                text = gettext_noop("'%(action)s' is not one of the requested scopes.")
                yield FieldError(f"authorizationDetails.{index}.actions", Filled(text, action=echo(action)))
            elif action in bounded:
                text = gettext_noop("Another detail bounds %(action)s already. Give each detail its own actions.")
                yield FieldError(f"authorizationDetails.{index}.actions", Filled(text, action=action))
            bounded.add(action)
