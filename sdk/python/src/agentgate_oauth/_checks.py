"""Checks of arguments, so that a mistake fails at the call instead of in the API's response."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from ._call import Unset

T = TypeVar("T")

_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_EXAMPLES = {
    "scopes": '["email:read"]',
    "redirect URIs": '["https://yourapp.com/callback"]',
    "agent ids": '["agt_..."]',
    "organization ids": '["org_..."]',
    "targets": '[{"type": "github:repository", "identifiers": ["acme/site"]}]',
    "rules": "[rules.rate_limit(max_requests=10, window_seconds=3600)]",
    "questions": '[question(token, ["email:read"])]',
    "days": "[1, 2, 3, 4, 5]",
    "actions": '["payments:*"]',
    "values": '["EUR", "USD"]',
}


def listed(name: str, values: Iterable[T], of: str) -> list[T]:
    """Return the values as a list. Raises TypeError for a string, which would be read letter by letter."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list of {of}, such as {_EXAMPLES[of]}")
    return list(values)


def listed_or_none(name: str, values: Iterable[T] | None, of: str) -> list[T] | None:
    return None if values is None else listed(name, values, of)


def listed_or_unset(name: str, values: Iterable[T] | Unset, of: str) -> list[T] | Unset:
    return values if isinstance(values, Unset) else listed(name, values, of)


def seconds_of(expires_in: timedelta | None) -> int | None:
    """Return the whole seconds of a lifetime. Raises TypeError for a number, which could be minutes."""
    if not isinstance(expires_in, (timedelta, type(None))):
        raise TypeError("expires_in must be a timedelta, such as timedelta(minutes=10)")
    return None if expires_in is None else int(expires_in.total_seconds())


def separate(name: str, values: tuple[str, ...]) -> list[str]:
    """Return the values of `*name`. Raises TypeError if one of them is a list."""
    if not all(isinstance(value, str) for value in values):
        raise TypeError(f"pass each of the {name} as a separate argument, not as a list")
    return list(values)


def required(name: str, value: str | None, what: str) -> str:
    """Return the value. Raises ValueError if it is empty or None, such as an unset environment variable."""
    if not value:
        raise ValueError(f"{name} is missing: pass {what}")
    return value


def checked_base_url(base_url: str | None, allow_http: bool, name: str = "base_url") -> str:
    """Return the URL without a trailing slash.

    Raises ValueError unless it is https, http to this machine, or `allow_http` is set for a trusted network,
    because every call contains a secret. `name` is the parameter or variable that contains the URL.
    """
    url = required(name, base_url, 'the address of AgentGate, such as "https://gate.example.com"')
    if "@" in url:
        raise ValueError(f"{name} must not contain a credential")
    parts = urlsplit(url if "://" in url else f"//{url}")
    on_this_machine = parts.hostname in _LOOPBACK_HOSTS
    if not parts.scheme:
        raise ValueError(
            f'{name} must start with its scheme: "{"http" if on_this_machine else "https"}://{url}"'
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{name} must be an http or https URL without query or fragment")
    server = f"{parts.scheme}://{parts.netloc}"
    if parts.path.strip("/"):
        raise ValueError(f'{name} must not have a path: pass "{server}" instead of "{url}"')
    if parts.scheme == "http" and not on_this_machine and not allow_http:
        trusted = "for a network you trust, pass allow_http=True or set AGENTGATE_ALLOW_HTTP=1"
        raise ValueError(f"{name} must be https; {trusted}")
    return server
