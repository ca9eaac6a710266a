"""Request parameters. Each appears at most once, and an empty one counts as omitted (RFC 6749 section 3.1)."""

import re
from collections.abc import Iterable

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, QueryDict, UnreadablePostError

from core.messages import NotDirect, Request
from oauth.errors import OAuthError
from tokens.access_tokens import MAX_TOKEN_LENGTH

FORM = "application/x-www-form-urlencoded"
REPEATABLE = frozenset({"resource", "audience"})
# Their line breaks and tabs are a part of the notation, which a JSON parser checks.
JSON = frozenset({"authorization_details"})
JSON_SPACE = str.maketrans("", "", "\t\n\r")
CREDENTIALS = frozenset(
    {
        "client_secret",
        "client_assertion",
        "code",
        "code_verifier",
        "refresh_token",
        "token",
        "access_token",
        "password",
        "subject_token",
        "actor_token",
    }
)
MAX_LENGTH = 8192
# A token has a few KB at most. Parsing a form of 2 MB takes 90 ms and would block the event loop, so a thread does it.
MAX_FORM = 16 * 1024
# A token request has about ten fields. A thousand of them take 2 ms.
MAX_SEPARATORS = 50
# How many repeated parameters an error names, and how many characters of each name.
MAX_NAMED, MAX_NAME = 20, 100
CONTROL = re.compile(r"[\x00-\x1f\ud800-\udfff]")
# The state is stored with each request, which anyone may make.
MAX_LENGTHS = {"token": MAX_TOKEN_LENGTH, "subject_token": MAX_TOKEN_LENGTH, "state": 2000}


class Parameters:
    """The parameters of one request. `repeated` lists names that appear more than once but must not."""

    def __init__(self, query: QueryDict) -> None:
        self._query = query
        self.repeated = sorted(name for name in query if len(query.getlist(name)) > 1 and name not in REPEATABLE)

    def get(self, name: str) -> str:
        """Return the value, or "" if it is missing, empty or repeated."""
        values = self._query.getlist(name)
        return str(values[0]) if len(values) == 1 else ""

    def all(self, name: str) -> list[str]:
        """Return the non-empty values of a repeatable parameter."""
        return [str(value) for value in self._query.getlist(name) if value]

    def words(self, name: str) -> list[str]:
        """Return the distinct items of a space-separated list."""
        return list(dict.fromkeys(self.get(name).split()))

    def with_client_id(self, client_id: str) -> "Parameters":
        """Return the same parameters with the authenticated client's id as `client_id`."""
        query = self._query.copy()
        query["client_id"] = client_id
        return Parameters(query)

    def fingerprint(self) -> dict[str, list[str]]:
        """Return all parameters except client credentials, which can differ between attempts."""
        proofs = ("client_secret", "client_assertion", "client_assertion_type")
        return {name: [str(value) for value in values] for name, values in self._query.lists() if name not in proofs}

    def require(self, name: str) -> str:
        """Return the value. Raises `invalid_request` if it is missing."""
        value = self.get(name)
        if not value:
            raise OAuthError("invalid_request", f"{name} is missing.")
        return value

    def check(self) -> None:
        """Raise `invalid_request` for parameters that no endpoint accepts."""
        if self.repeated:
            named = ", ".join(name[:MAX_NAME] for name in self.repeated[:MAX_NAMED])
            raise OAuthError("invalid_request", f"{named} must appear only once.")
        unclean = [
            name for name in self._query if not is_clean(self._readable(name), MAX_LENGTHS.get(name, MAX_LENGTH))
        ]
        if unclean:
            raise OAuthError("invalid_request", "A parameter is too long or contains control characters.")

    def _readable(self, name: str) -> list[str]:
        """Return the values, without the spaces that JSON allows between its tokens if they are JSON."""
        values = [str(value) for value in self._query.getlist(name)]
        return [value.translate(JSON_SPACE) for value in values] if name in JSON else values


def is_clean(values: Iterable[str], max_length: int = MAX_LENGTH) -> bool:
    """Return whether the values are safe to store and echo: no control characters, no surrogates, bounded length."""
    return all(len(value) <= max_length and not CONTROL.search(value) for value in values)


def read_form(request: HttpRequest) -> Parameters:
    """Return the form in the body. Raises `invalid_request` for other bodies and for credentials in the URL."""
    if request.content_type != FORM:
        raise OAuthError("invalid_request", f"The body must be {FORM}.")
    try:
        query, body = request.GET, request.POST
    except (BadRequest, RequestDataTooBig, SuspiciousOperation, UnicodeError, UnreadablePostError) as error:
        raise OAuthError("invalid_request", "The body could not be read as a form.") from error
    return check_form(query, body)


def read_directly(request: Request) -> Parameters:
    """Return the form in the body of a POST, without Django. Raises `NotDirect` for unusual requests."""
    content_type = request.headers.get("content-type", "")
    if request.method != "POST" or content_type != FORM or len(request.body) > MAX_FORM:
        raise NotDirect
    if request.body.count(b"&") + request.query.count("&") > MAX_SEPARATORS:
        raise NotDirect
    return check_form(QueryDict(request.query), QueryDict(request.body))


def check_form(query: QueryDict, body: QueryDict) -> Parameters:
    """Return the parameters in the body. Raises `invalid_request` for credentials in the URL or unclean values."""
    if CREDENTIALS & set(query):
        raise OAuthError("invalid_request", "Send credentials in the body, not in the URL.")
    parameters = Parameters(body)
    parameters.check()
    return parameters
