"""Everything the process environment says, read once, typed and checked.

A variable may also be given as `<NAME>_FILE`, the path of a file that holds it (container secrets).
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from core.uris import find_canonical_uri

BASE_DIR = Path(__file__).resolve().parent.parent
ALGORITHMS = ("ES256", "RS256", "EdDSA", "HS256")
WEAK_SECRETS = ("changeme", "secret", "password", "your-production-secret-here", "agentgate")
MIN_SECRET_LENGTH = 32
MIN_DISTINCT_CHARACTERS = 8

Network = IPv4Network | IPv6Network


def stop(message: str) -> NoReturn:
    """End the process with one line: a misconfigured gate must not open."""
    sys.exit(f"agentgate: {message}")


@dataclass(frozen=True, slots=True)
class Environment:
    """Typed access to a mapping of environment variables."""

    values: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        """Return the variable, else the content of the file `<NAME>_FILE` names, else `default`."""
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
        if value in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
            return default if not value else value in ("1", "true", "yes", "on")
        stop(f"{name} must be true or false")

    def number(self, name: str, default: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if not value.isdecimal():
            stop(f"{name} must be a whole number")
        return int(value)

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
    """Return `JWT_SECRET`; stop the start when it is missing, short or guessable."""
    secret = environment.text("JWT_SECRET")
    if not secret:
        stop("JWT_SECRET is not set; give it 32 random characters or more, e.g. from `openssl rand -hex 32`")
    if len(secret) < MIN_SECRET_LENGTH:
        stop(f"JWT_SECRET is too short: {len(secret)} characters, {MIN_SECRET_LENGTH} are needed")
    if len(set(secret)) < MIN_DISTINCT_CHARACTERS or any(
        secret.lower() == (weak * MIN_SECRET_LENGTH)[: len(secret)] for weak in WEAK_SECRETS
    ):
        stop("JWT_SECRET is too easy to guess; take a random one, e.g. from `openssl rand -hex 32`")
    return secret


def read_algorithm(environment: Environment) -> str:
    algorithm = environment.text("JWT_ALGORITHM", "ES256")
    if algorithm not in ALGORITHMS:
        stop(f"JWT_ALGORITHM must be one of {', '.join(ALGORITHMS)}")
    return algorithm


def read_api_url(environment: Environment) -> str:
    """Return the public base URL in canonical form, without a slash at the end; stop when it is not an origin."""
    url = find_canonical_uri(environment.text("API_URL", "http://localhost:8000").rstrip("/"))
    if url is None or urlsplit(url).path or urlsplit(url).query:
        stop("API_URL must be an origin such as https://gate.example.com, without a path")
    return url


def read_issuer(environment: Environment, api_url: str) -> str:
    """Return the `iss` claim. Only `<API_URL>/oauth` serves its metadata (RFC 8414 section 3)."""
    issuer = environment.text("JWT_ISSUER", f"{api_url}/oauth")
    if issuer != f"{api_url}/oauth":
        stop(f"JWT_ISSUER must be {api_url}/oauth, the URL whose metadata this server publishes")
    return issuer


ENVIRONMENT = Environment(os.environ)
