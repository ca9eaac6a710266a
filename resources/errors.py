"""Errors about resource servers and scopes."""

from django.utils.translation import gettext_noop

from core.errors import Conflict, DomainError, Forbidden


class IdentifierTaken(Conflict):
    code = "identifier_taken"
    title = gettext_noop("A resource server with this identifier is already registered")
    remedy = "Choose another identifier, or use the resource server that has it."


class IdentifierInOthersDomain(IdentifierTaken):
    code = "identifier_in_others_domain"
    title = gettext_noop("The domain of this identifier belongs to another organization")
    remedy = "Use a domain of your organization, or prove that this one is yours on the page of your domain."


class ScopePrefixTaken(Conflict):
    code = "scope_prefix_taken"
    title = gettext_noop("The prefix of this scope belongs to another organization")
    remedy = "Choose a prefix that no other organization uses."


class InvalidScope(DomainError):
    """A scope is unknown, or exceeds what is allowed (RFC 6749 section 5.2)."""

    code = "invalid_scope"
    title = gettext_noop("A scope is unknown or not allowed")
    remedy = "Request scopes that GET /api/v1/scopes lists and the agent's allowedScopes include."


class InvalidTarget(DomainError):
    """No registered resource server has the identifier (RFC 8707 section 2)."""

    code = "invalid_target"
    title = gettext_noop("The resource is not a registered resource server")
    remedy = "Send the identifier of a registered resource server, exactly as the API shows it."


class ServiceSuspended(Forbidden):
    """The organization that owns the resource server is suspended or being deleted."""

    code = "service_suspended"
    title = gettext_noop("The service is suspended")
    remedy = "Ask the operator of this server why the service's organization is suspended."
