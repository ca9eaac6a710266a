"""To which other agents an agent may hand on what a user allows it: the mode of a connection (`Consent.Delegation`)."""

from collections.abc import Collection

from django.utils.translation import gettext_noop

from consent.errors import WouldWiden
from consent.models import Consent
from core.errors import Invalid

DELEGATE = "agents:delegate"
# In the order in which they become wider.
MODES = (NONE, DEVELOPER, VERIFIED) = tuple(Consent.Delegation.values)


def is_wider(mode: str, earlier: str) -> bool:
    """Return whether the mode includes agents that the earlier one does not."""
    return MODES.index(mode) > MODES.index(earlier)


def hands_on(consent: Consent, scope: str) -> bool:
    """Return whether the scope lets the agent hand work on. The log has no uses of such a scope."""
    return scope == DELEGATE and consent.delegation != NONE


def modes_for(consent: Consent) -> tuple[str, ...]:
    """Return the modes that the user can choose. A stock client belongs to no developer, so it hands nothing on."""
    return MODES if consent.agent.organization_id else (NONE,)


def settle_delegation(consent: Consent, live: Consent | None, said: str | None, granted: Collection[str]) -> str:
    """Return the mode after an approval of `consent`, which replaces `live`.

    What the user said wins. If they said nothing, it stays as it is, except that a new scope `agents:delegate` brings
    `developer`, and that a removed one leaves `none`. Raises `Invalid`.
    """
    if said is not None:
        if said not in modes_for(consent):
            raise Invalid.field("delegation", gettext_noop('Must be "none": this client belongs to no developer.'))
        return said
    had_scope = live is not None and DELEGATE in live.granted_scopes
    has_scope = DELEGATE in granted and consent.agent.organization_id is not None
    earlier = live.delegation if live else NONE
    if had_scope and not has_scope:
        return NONE
    return DEVELOPER if has_scope and not had_scope and earlier == NONE else earlier


def narrow_delegation(earlier: str, said: str | None, removed: Collection[str]) -> str:
    """Return the mode after a narrowing. Raises `WouldWiden`."""
    if said is not None and is_wider(said, earlier):
        raise WouldWiden.field(
            "delegation", gettext_noop("Only a new consent can let the agent hand work to more agents.")
        )
    if DELEGATE in removed:
        return NONE
    return earlier if said is None else said
