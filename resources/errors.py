"""What can be refused about resource servers and scopes."""

from core.errors import Conflict, DomainError, Forbidden


class IdentifierTaken(Conflict):
    code = "identifier_taken"
    title = "A resource server with this identifier is already registered"


class ScopePrefixTaken(Conflict):
    code = "scope_prefix_taken"
    title = "The prefix of this scope belongs to another organization"


class InvalidScope(DomainError):
    """RFC 6749 section 5.2: unknown, or beyond what was allowed."""

    code = "invalid_scope"
    title = "A scope is unknown or not allowed"


class InvalidTarget(DomainError):
    """RFC 8707 section 2."""

    code = "invalid_target"
    title = "The resource is not a registered resource server"


class ServiceSuspended(Forbidden):
    """The organization of the resource server in question is suspended."""

    code = "service_suspended"
    title = "The service is suspended"
