"""What can be refused to an organization."""

from core.errors import Forbidden


class OrganizationSuspended(Forbidden):
    """An administrator has suspended the organization; `detail` says when and why."""

    code = "organization_suspended"
    title = "The organization is suspended"


class ServiceSuspended(Forbidden):
    """The organization of the resource server in question is suspended."""

    code = "service_suspended"
    title = "The service is suspended"
