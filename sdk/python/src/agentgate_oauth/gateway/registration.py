"""The gateway's resource server at the gate, and the scopes that `gateway.yaml` needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from .._drivers import SyncDriver
from .._effects import Flow, NetworkFailure, Send
from .._json import read_json
from .._retry import connection_error
from ..errors import ConnectionFailedError
from ..models import Scope
from .config import ConfigError, Gateway, Line, Risk, ToolLine
from .effects import higher
from .proposing import MAX_WORDS, asks_by_default, in_order

AnyScope = str | Mapping[str, Any]
TIMEOUT_SECONDS = 10
METADATA_PATH = "/.well-known/oauth-authorization-server/oauth"
MAX_SCOPES = 100
GUESSED = "Its risk and data labels are guesses from its name"


def lines_of(gateway: Gateway) -> Iterator[tuple[tuple[str, ...], Line]]:
    """Yield each line, with the path of its key in gateway.yaml."""
    for prefix, upstream in gateway.upstreams.items():
        for kind in ("tools", "resources", "prompts"):
            for name, line in getattr(upstream, kind).items():
                yield ("upstreams", prefix, kind, name), line


def scopes_of(gateway: Gateway, catalogue: Mapping[str, Scope]) -> list[AnyScope]:
    """Return the scopes that the lines need, as they are registered. Raises ConfigError."""
    lines: dict[str, list[Line]] = {}
    for _, line in lines_of(gateway):
        lines.setdefault(line.scope, []).append(line)
    found = [one if one in catalogue else _own_scope(gateway, one, lines[one]) for one in lines]
    if len(found) > MAX_SCOPES:
        raise ConfigError(
            f"The lines need {len(found)} scopes, and a resource server has at most {MAX_SCOPES}. "
            "Let tools share scopes, or give this upstream a gateway of its own, in another folder."
        )
    return found


def merged(
    existing: Sequence[AnyScope], needed: Sequence[AnyScope], dropped: Iterable[str] = ()
) -> list[AnyScope]:
    """Return the scopes of a resource server after a change. Those that others added to it stay."""
    gone = {*map(scope_id, needed), *dropped}
    return [*(one for one in existing if scope_id(one) not in gone), *needed]


def changed(existing: Sequence[AnyScope], needed: Sequence[AnyScope]) -> list[AnyScope]:
    """Return those that the resource server does not have, or has with other texts, risk or labels."""
    have = {scope_id(one): one for one in existing}
    return [one for one in needed if scope_differences(have.get(scope_id(one)), one)]


def scope_differences(registered: AnyScope | None, needed: AnyScope) -> list[str]:
    """Return the names of the fields that differ, or "missing"."""
    if registered is None:
        return ["missing"]
    if isinstance(needed, str) or isinstance(registered, str):
        return []
    fields = ("riskLevel", "title", "description", "cannot")
    differing = [name for name in fields if registered.get(name) != needed[name]]
    if sorted(registered.get("labels") or ()) != sorted(needed["labels"]):
        differing.append("labels")
    if bool(registered.get("reversible")) != needed["reversible"]:
        differing.append("asks")
    return differing


def line_differences(line: Line, catalogue: Mapping[str, Scope]) -> list[str]:
    """Return what a line says about a scope of the catalogue, and the catalogue does not."""
    scope = catalogue.get(line.scope)
    if scope is None:
        return []
    asks = asks_by_default(scope.risk_level, scope.reversible, scope.asks)
    said = {"risk": (line.risk, scope.risk_level), "asks": (line.asks, asks)}
    return [
        f"{name} is {json.dumps(have)}, and the catalogue says {json.dumps(real)}"
        for name, (have, real) in said.items()
        if have != real
    ]


def scope_id(scope: AnyScope) -> str:
    return scope if isinstance(scope, str) else str(scope["id"])


def require_gate(url: str) -> None:
    """Raise ConfigError unless AgentGate is at this URL, and gives it as its own (RFC 8414)."""
    address = f"{url}{METADATA_PATH}"
    try:
        with closing(SyncDriver(url, TIMEOUT_SECONDS)) as driver:
            issuer = driver.run(_ask_issuer())
    except (ConnectionFailedError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"AgentGate does not answer at {url}: {error or type(error).__name__}") from None
    if not isinstance(issuer, str):
        raise ConfigError(f"{url} is not AgentGate: it does not answer {address}.")
    if issuer != f"{url}/oauth":
        own = issuer.removesuffix("/oauth")
        raise ConfigError(f"AgentGate at {url} calls itself {own}, and clients compare. Use --url {own}")


def _ask_issuer() -> Flow[object]:
    outcome = yield Send("GET", METADATA_PATH, headers={}, params={}, json=None, form=None)
    if isinstance(outcome, NetworkFailure):
        raise connection_error(outcome)
    return read_json(outcome.content)["issuer"] if outcome.status_code == 200 else None


def described(description: str, *, is_guessed: bool) -> str:
    """Return what users read about a scope, marked if its risk and labels are guesses."""
    if not is_guessed:
        return description
    most = MAX_WORDS - len(GUESSED) - 2
    return f"{description if len(description) <= most else f'{description[: most - 1]}…'}. {GUESSED}"


def _is_guessed(line: Line) -> bool:
    return isinstance(line, ToolLine) and line.guessed


def _own_scope(gateway: Gateway, name: str, lines: Sequence[Line]) -> Mapping[str, Any]:
    texts = gateway.scopes.get(name)
    if texts is None:
        raise ConfigError(
            f"{name} is neither in the catalogue nor in `scopes`: add its title, description and cannot there"
        )
    risks: list[Risk] = [line.risk for line in lines]
    return {
        "id": name,
        "riskLevel": higher(*risks),
        "title": texts.title,
        "description": described(texts.description, is_guessed=any(map(_is_guessed, lines))),
        "cannot": texts.cannot,
        "labels": in_order(texts.labels),
        "reversible": not any(line.asks for line in lines),
    }
