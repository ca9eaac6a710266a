"""Errors of tokens and delegations."""

from django.utils.translation import gettext_noop

from core.errors import DomainError, FieldError, Forbidden
from resources.errors import InvalidTarget


class InvalidGrant(DomainError):
    """RFC 6749 section 5.2."""

    code = "invalid_grant"
    title = gettext_noop("The code or token is not valid")
    remedy = (
        "Ask the user for consent again. A code works once, within 60 seconds; a refresh token works once; a "
        "delegation token works once, within 60 seconds."
    )


class DelegationNotAllowed(Forbidden):
    """The user, or the delegation by which the agent acts itself, does not let it hand work to this agent."""

    code = "delegation_not_allowed"
    title = gettext_noop("The agent may not hand work to this agent")
    remedy = "Ask the user for consent with the delegation that you need, or hand the work to an agent that it covers."


class TargetNotHeld(InvalidTarget):
    """A target of a delegation is not one of those that the agent has itself. `errors` names the field."""

    title = gettext_noop("The agent cannot hand over this target")
    remedy = "Send identifiers of the type that the agent has for the scope, or leave the scope out to hand over all."

    @classmethod
    def field(cls, field: str, message: str) -> "TargetNotHeld":
        return cls(message, errors=(FieldError(field, message),))
