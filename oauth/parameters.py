"""Reading the parameters of a request: each at most once, an empty one as omitted (RFC 6749 section 3.1)."""

from collections.abc import Iterable

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, QueryDict, UnreadablePostError

from oauth.errors import OAuthError

FORM = "application/x-www-form-urlencoded"
REPEATABLE = frozenset({"resource"})
CREDENTIALS = frozenset(
    {"client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "token", "access_token", "password"}
)
MAX_LENGTH = 8192


class Parameters:
    """The parameters of one request. `repeated` are the names that came twice but may come once only."""

    def __init__(self, query: QueryDict) -> None:
        self._query = query
        self.repeated = sorted(name for name in query if len(query.getlist(name)) > 1 and name not in REPEATABLE)

    def get(self, name: str) -> str:
        """Return the value, or "" when it was left out, empty, or given twice."""
        values = self._query.getlist(name)
        return str(values[0]) if len(values) == 1 else ""

    def all(self, name: str) -> list[str]:
        """Return the values of a parameter that may be repeated, without empty ones."""
        return [str(value) for value in self._query.getlist(name) if value]

    def words(self, name: str) -> list[str]:
        """Return the words of a value that is a list separated by spaces, each once."""
        return list(dict.fromkeys(self.get(name).split()))

    def naming(self, client_id: str) -> "Parameters":
        """Return the same parameters with the client that has been authenticated in place of the one stated."""
        query = self._query.copy()
        query["client_id"] = client_id
        return Parameters(query)

    def fingerprint(self) -> dict[str, list[str]]:
        """Return all parameters save the proof of who asks, which differs from one attempt to the next."""
        proofs = ("client_secret", "client_assertion", "client_assertion_type")
        return {name: [str(value) for value in values] for name, values in self._query.lists() if name not in proofs}

    def require(self, name: str) -> str:
        """Return the value. Raises `invalid_request` when there is none."""
        value = self.get(name)
        if not value:
            raise OAuthError("invalid_request", f"{name} is missing.")
        return value

    def check(self) -> None:
        """Raise `invalid_request` for what no endpoint takes."""
        if self.repeated:
            raise OAuthError("invalid_request", f"{', '.join(self.repeated)} must appear only once.")
        unclean = [name for name in self._query if not is_clean(self._query.getlist(name))]
        if unclean:
            raise OAuthError("invalid_request", "A parameter is too long or contains control characters.")


def is_clean(values: Iterable[str]) -> bool:
    """Return whether the values can be stored and echoed: no control character or lone surrogate, and a sane length."""
    return all(
        len(value) <= MAX_LENGTH and not any(letter < " " or "\ud800" <= letter <= "\udfff" for letter in value)
        for value in values
    )


def read_form(request: HttpRequest) -> Parameters:
    """Return the form in the body. Raises `invalid_request` for another body, or for credentials in the URL."""
    if request.content_type != FORM:
        raise OAuthError("invalid_request", f"The body must be {FORM}.")
    try:
        in_url, parameters = set(request.GET), Parameters(request.POST)
    except (RequestDataTooBig, SuspiciousOperation, UnicodeError, UnreadablePostError) as error:
        raise OAuthError("invalid_request", "The request cannot be read.") from error
    if CREDENTIALS & in_url:
        raise OAuthError("invalid_request", "Credentials belong in the body, never in the URL.")
    parameters.check()
    return parameters
