"""To which other agents an agent may hand work: what the consent screen and the page of a connection offer."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.http import QueryDict
from django.utils.translation import gettext as _

from consent.delegation import DELEGATE, DEVELOPER, MODES, NONE, modes_for
from consent.models import Consent
from core.errors import Invalid

FIELD = "delegation"


@dataclass(frozen=True, slots=True)
class Receivers:
    """The modes that the user can choose (`consent.delegation`), the one to preselect, and the developer's name."""

    modes: Sequence[str]
    mode: str
    developer: str


def receivers_to_choose(asked: Consent, live: Consent | None, shown: Collection[str], said: str) -> Receivers | None:
    """Return what the consent screen with the scopes `shown` offers, or None if it is not about handing work on.

    `said` is what the user has chosen before, if anything. A new scope comes with the narrowest mode.
    """
    current = live.delegation if live else NONE
    modes, organization = modes_for(asked), asked.agent.organization
    if organization is None or len(modes) == 1 or (DELEGATE not in shown and current == NONE):
        return None
    is_new = DELEGATE in shown and (live is None or DELEGATE not in live.granted_scopes)
    preselected = DEVELOPER if is_new and current == NONE else current
    return Receivers(modes, said if said in modes else preselected, organization.name)


def receivers_left(consent: Consent) -> Receivers | None:
    """Return the modes to which a connection can be lowered, and its own, or None if it hands nothing on."""
    organization, mode = consent.agent.organization, consent.delegation
    if organization is None or mode == NONE:
        return None
    return Receivers(MODES[: MODES.index(mode) + 1], mode, organization.name)


def read_receivers(form: QueryDict, offered: Receivers | None, shown: Collection[str]) -> str | None:
    """Return the mode that the user chose, or None if the page has offered none. Raises `Invalid`.

    If the scope is on the page and not ticked, nothing is handed on.
    """
    if offered is None or FIELD not in form:
        return None
    if DELEGATE in shown and DELEGATE not in form.getlist("scopes"):
        return NONE
    mode = form.get(FIELD)
    if mode not in offered.modes:
        raise Invalid.field(FIELD, _("Choose to which agents it may hand work."))
    return mode
