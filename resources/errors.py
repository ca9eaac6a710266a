"""What can be refused about resource servers and scopes."""

from core.errors import Conflict, DomainError, Forbidden


class IdentifierTaken(Conflict):
    code = "identifier_taken"
    title = "A resource server with this identifier is already registered"
    remedy = "Choose another identifier, or use the resource server that has it."


class ScopePrefixTaken(Conflict):
    code = "scope_prefix_taken"
    title = "The prefix of this scope belongs to another organization"
    remedy = "Give the scope a prefix of your own."


class InvalidScope(DomainError):
    """RFC 6749 section 5.2: unknown, or beyond what was allowed."""

    code = "invalid_scope"
    title = "A scope is unknown or not allowed"
    remedy = "Ask for scopes that GET /api/v1/scopes lists and the agent's allowedScopes include."


class InvalidTarget(DomainError):
    """RFC 8707 section 2."""

    code = "invalid_target"
    title = "The resource is not a registered resource server"
    remedy = "Name the identifier of a registered resource server, exactly as its API shows it."


class ServiceSuspended(Forbidden):
    """The organization of the resource server in question is suspended."""

    code = "service_suspended"
    title = "The service is suspended"
    remedy = "Ask the operator of this server why the service's organization is suspended."
