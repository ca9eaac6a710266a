"""The process environment, read once, typed and checked.

Every variable can also be given as `<NAME>_FILE`, the path of a file that contains the value (container secrets).

django-environ would keep the line end of such a file, read `DEBUG=maybe` as false, and replace a secret that starts
with `$` by another variable.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from audit.signing.notes import split_verifier_key
from core.net import Network
from core.uris import LOOPBACK_HOSTS, find_canonical_uri

BASE_DIR = Path(__file__).resolve().parent.parent
ALGORITHMS = ("ES256", "RS256", "EdDSA", "HS256")
LOG_FORMATS = ("text", "json")
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
MAX_PORT = 65535
PORT_OF_HTTP = re.compile(r"http://[^/?#]*:(\d+)/?", re.IGNORECASE)
MIN_SECRET_LENGTH = 32
# The largest batch of the API.
MIN_VERIFY_QUEUE = 100
# A hundred years.
MAX_RETENTION_MONTHS = 1200
MIN_DISTINCT_CHARACTERS = 8
# A secret that repeats fewer characters than this is as easy to guess as those few.
MIN_PERIOD = 16
# Parts of the values in examples and tutorials, in lower case and without punctuation.
PLACEHOLDERS = (
    *("changeme", "changethis", "replace", "placeholder", "insecure", "example", "secret", "password"),
    *("generate", "openssl", "random", "yourkey", "yourjwt", "signingkey", "12345678", "abcdefgh"),
)
RANDOM = "set a random value, for example from `openssl rand -hex 32`"


def stop(message: str) -> NoReturn:
    """End the process with one line on standard error, because a misconfigured server must not start."""
    sys.exit(f"agentgate: {message}")


@dataclass(frozen=True, slots=True)
class Environment:
    """Typed access to a mapping of environment variables. A value that cannot be read ends the process."""

    values: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        """Return the variable, else the content of the file that `<NAME>_FILE` names, else `default`."""
        if self.values.get(name):
            return self.values[name]
        path = self.values.get(f"{name}_FILE")
        if not path:
            return default
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            stop(f"{name}_FILE cannot be read: {error.strerror}")

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name).lower()
        if not value:
            return default
        return value in TRUE if value in TRUE + FALSE else stop(f"{name} must be true or false")

    def number(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        return int(value) if value.isdecimal() else stop(f"{name} must be a whole number")

    def items(self, name: str) -> list[str]:
        return [item.strip() for item in self.text(name).split(",") if item.strip()]

    def path(self, name: str, default: str) -> Path:
        return BASE_DIR / self.text(name, default)

    def networks(self, name: str) -> tuple[Network, ...]:
        try:
            return tuple(ip_network(item) for item in self.items(name))
        except ValueError as error:
            stop(f"{name}: {error}; write CIDRs such as 10.0.0.0/8, separated by commas")


def read_jwt_secret(environment: Environment) -> str:
    """Return `JWT_SECRET`. A missing, short or guessable one ends the process."""
    secret = environment.text("JWT_SECRET")
    if not secret:
        stop(f"JWT_SECRET is not set; {RANDOM}")
    return _strong("JWT_SECRET", secret)


def read_secret_key(environment: Environment, jwt_secret: str) -> str:
    """Return `SECRET_KEY`, or one derived from `JWT_SECRET`. A short or guessable one ends the process."""
    secret = environment.text("SECRET_KEY")
    return _strong("SECRET_KEY", secret) if secret else f"django:{jwt_secret}"


def read_metrics_token(environment: Environment) -> str:
    """Return `METRICS_TOKEN`, or an empty string. A short or guessable one ends the process."""
    token = environment.text("METRICS_TOKEN")
    return _strong("METRICS_TOKEN", token) if token else ""


def read_log_format(environment: Environment) -> str:
    """Return `LOG_FORMAT`, `text` or `json`."""
    name = environment.text("LOG_FORMAT", "text")
    return name if name in LOG_FORMATS else stop(f"LOG_FORMAT must be one of {', '.join(LOG_FORMATS)}")


def read_witnesses(environment: Environment) -> list[str]:
    """Return `AUDIT_WITNESSES`: URLs, each with the witness's verifier key after a `#`, if it is known."""
    witnesses = environment.items("AUDIT_WITNESSES")
    for witness in witnesses:
        url = urlsplit(witness)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.username:
            stop(f"AUDIT_WITNESSES: {witness} must be a URL such as https://witness.example.com, without a query")
        if url.fragment:
            try:
                split_verifier_key(url.fragment)
            except ValueError as error:
                stop(f"AUDIT_WITNESSES: # in {witness} must be followed by the key that the witness prints: {error}")
    return witnesses


def read_algorithm(environment: Environment) -> str:
    algorithm = environment.text("JWT_ALGORITHM", "ES256")
    if algorithm not in ALGORITHMS:
        stop(f"JWT_ALGORITHM must be one of {', '.join(ALGORITHMS)}")
    return algorithm


def read_api_url(environment: Environment) -> str:
    """Return the public base URL in canonical form, without a trailing slash. Its default has the port of `API_PORT`.

    A URL that is not an origin, or that is http on a public host, ends the process.
    """
    given = environment.text("API_URL") or f"http://localhost:{read_api_port(environment)}"
    url = find_canonical_uri(given.rstrip("/"))
    if url is None or urlsplit(url).path or urlsplit(url).query:
        stop("API_URL must be an origin such as https://gate.example.com, without a path")
    if url.startswith("http://") and urlsplit(url).hostname not in LOOPBACK_HOSTS:
        stop(f"API_URL must be https, except on loopback hosts: {url} would send passwords and tokens in clear")
    return url


def read_api_port(environment: Environment) -> str:
    """Return the port to listen on: `API_PORT`, else the one that an http `API_URL` names, else 8000.

    The port of an https `API_URL` is that of a proxy. What is not a port ends the process.
    """
    named = PORT_OF_HTTP.fullmatch(environment.text("API_URL"))
    port = environment.text("API_PORT", named[1] if named else "8000")
    if not port.isdecimal() or not 1 <= int(port) <= MAX_PORT:
        stop(f"API_PORT must be a whole number between 1 and {MAX_PORT}")
    return port


def read_allow_loopback(environment: Environment, api_url: str) -> bool:
    """Return `WEBHOOK_ALLOW_LOOPBACK`. With an https `API_URL` it ends the process."""
    is_allowed = environment.flag("WEBHOOK_ALLOW_LOOPBACK")
    if is_allowed and api_url.startswith("https://"):
        stop("WEBHOOK_ALLOW_LOOPBACK is for development: unset it, or webhooks could reach services of this host")
    return is_allowed


def read_issuer(environment: Environment, api_url: str) -> str:
    """Return the `iss` claim. Only `<API_URL>/oauth` serves its metadata (RFC 8414 section 3)."""
    issuer = environment.text("JWT_ISSUER", f"{api_url}/oauth")
    if issuer != f"{api_url}/oauth":
        stop(f"JWT_ISSUER must be {api_url}/oauth, the URL whose metadata this server publishes")
    return issuer


def _strong(name: str, secret: str) -> str:
    """Return the secret if it could be random. Otherwise end the process, without showing the secret."""
    if len(secret) < MIN_SECRET_LENGTH:
        stop(f"{name} is too short: {len(secret)} characters, {MIN_SECRET_LENGTH} are needed; {RANDOM}")
    if len(set(secret)) < MIN_DISTINCT_CHARACTERS or _repeats_itself(secret):
        stop(f"{name} is too easy to guess: it repeats a few characters; {RANDOM}")
    plain = re.sub(r"[^a-z0-9]", "", secret.lower())
    word = next((word for word in PLACEHOLDERS if word in plain), None)
    if word:
        stop(f"{name} is too easy to guess: it contains “{word}”, as placeholders do; {RANDOM}")
    return secret


def _repeats_itself(text: str) -> bool:
    return any(text[period:] == text[:-period] for period in range(1, MIN_PERIOD))


def read_retention(environment: Environment) -> int:
    """Return `AUDIT_PERSONAL_RETENTION_MONTHS`. Stop if the keys of the current month would not be kept."""
    months = environment.number("AUDIT_PERSONAL_RETENTION_MONTHS", 13)
    if 1 <= months <= MAX_RETENTION_MONTHS:
        return months
    stop(f"AUDIT_PERSONAL_RETENTION_MONTHS must be from 1 to {MAX_RETENTION_MONTHS}")


ENVIRONMENT = Environment(os.environ)


def read_verify_queue(environment: Environment) -> int:
    """Return `VERIFY_QUEUE`. Stop if a full batch of questions would not fit."""
    size = environment.number("VERIFY_QUEUE", 1024)
    return size if size >= MIN_VERIFY_QUEUE else stop(f"VERIFY_QUEUE must be {MIN_VERIFY_QUEUE} or more")


def read_archive_after(environment: Environment) -> int | None:
    """Return `AUDIT_ARCHIVE_AFTER_MONTHS`, or None if it is not set. Zero ends the process."""
    if not environment.text("AUDIT_ARCHIVE_AFTER_MONTHS"):
        return None
    months = environment.number("AUDIT_ARCHIVE_AFTER_MONTHS", 0)
    return months if months >= 1 else stop("AUDIT_ARCHIVE_AFTER_MONTHS must be 1 or more")
