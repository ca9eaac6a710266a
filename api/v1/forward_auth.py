"""Forward authorization: a proxy (nginx, Caddy, HAProxy, Traefik, Envoy) asks before it passes a request on."""

from django.http import QueryDict
from rest_framework.request import Request

from api.endpoint import Endpoint
from api.forwarding import (
    ApprovalRequired,
    ConsentPaused,
    InsufficientScope,
    InvalidToken,
    PolicyDenied,
    for_caller,
    forwarding_inquiry,
    own_parameters,
)
from api.operations import operation
from api.v1.schemas.tokens import ForwardAuthQuery
from core.errors import Forbidden, NotAuthenticated, Throttled
from core.http import visitor
from core.messages import DECIDE, Reply
from decisions.inquiries import answer
from resources.errors import ServiceSuspended


class ForwardAuth(Endpoint):
    """Decide by the bearer token of the request that the proxy holds. The proxy's configuration sets what is required.

    Danger: set `reads_query` only where the proxy writes the query. It must be off where the proxy appends the caller's
    own path and query.
    """

    reads_query = True

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Read only headers: a body belongs to the caller's request. Every method is decided."""
        self.actor = visitor(request._request)

    def query_parameters(self) -> QueryDict:
        return own_parameters(self.request.query_params) if self.reads_query else QueryDict()

    @operation(
        "forwardAuth",
        "Authorize a request for a proxy",
        description="For nginx `auth_request`, Caddy, HAProxy, Traefik and Envoy. A 200 has the headers "
        "`X-AgentGate-User`, `-Agent`, `-Consent`, `-Decision` and `-Scopes`. An error that another token can solve "
        "has `WWW-Authenticate` (RFC 6750). A temporary denial, such as a rate limit, is a 403 with `Retry-After`.",
        errors=(
            NotAuthenticated,
            InvalidToken,
            Forbidden,
            InsufficientScope,
            PolicyDenied,
            ApprovalRequired,
            ConsentPaused,
            ServiceSuspended,
            Throttled,
        ),
    )
    def get(self, query: ForwardAuthQuery) -> Reply:
        inquiry = forwarding_inquiry(self.request.headers, query, self.actor)
        if isinstance(inquiry, Reply):
            return inquiry
        try:
            return answer(inquiry, self.request.META.get(DECIDE))
        except NotAuthenticated as error:
            raise for_caller(error) from error

    # Envoy uses the method of the request that it holds.
    post = put = patch = delete = head = options = get
