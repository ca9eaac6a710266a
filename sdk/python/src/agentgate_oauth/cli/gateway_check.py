"""`agentgate gateway check`: whether the files, the MCP servers and the gate agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import AgentGateError
from ..gateway import config, lock
from ..gateway.checking import Problem, check_scopes, check_shared, check_upstream
from ..gateway.files import Credential, Files, load_credential
from ..gateway.inspection import shown, unusable, usable
from ..models import Scope
from ..verifier import AgentGateVerifier
from . import connection
from .failures import Failure
from .gateway_common import (
    catalogue,
    developer,
    gate_url,
    own_server,
    place,
    print_causes,
    print_edits,
    read_live,
)
from .output import print_line, show


def check_all(file: Path) -> bool:
    """Print what does not hold. Return whether all holds; notes do not count."""
    files = Files(file)
    gateway = config.load(files.config)
    text = files.config.read_text(encoding="utf-8")
    found = list(dict.fromkeys(_problems(files, gateway)))
    rows = [(place(file, text, one.keys) if one.keys else "", _name(one), one.text) for one in found]
    good = all(one.is_note for one in found)
    document = {
        "ok": good,
        "problems": [
            {"place": where, "name": name, "text": said, "isNote": one.is_note}
            for one, (where, name, said) in zip(found, rows, strict=True)
        ],
    }
    show(document, lambda: _print(file, text, gateway, found, rows, good))
    return good


def _problems(files: Files, gateway: config.Gateway) -> Iterator[Problem]:
    yield from _check_upstreams(files, gateway)
    try:
        gate_url(gateway)
        known = catalogue(gateway)
    except (config.ConfigError, AgentGateError) as error:
        yield Problem(("gate",), str(error))
        return
    try:
        credential = load_credential(files.credential)
    except config.ConfigError as error:
        yield Problem((), str(error))
        return
    yield from _check_credential(gateway, credential)
    yield from _check_registration(gateway, credential, known)


def _check_upstreams(files: Files, gateway: config.Gateway) -> Iterator[Problem]:
    try:
        pinned = lock.load(files.lock)
    except config.ConfigError as error:
        yield Problem((), str(error))
        return
    for prefix in pinned.keys() - gateway.upstreams.keys():
        yield Problem(
            (), f"{files.lock} has the upstream {prefix}, and {files.config} does not", is_note=True
        )
    for prefix, upstream in gateway.upstreams.items():
        keys = ("upstreams", prefix)
        if prefix not in pinned:
            command = f"agentgate gateway accept --all --upstream {prefix}"
            text = f"has no pinned definitions. Accept them with: {command}"
            yield Problem(keys, text)
        try:
            offered = read_live(prefix, upstream, gateway.limits)
        except (config.ConfigError, Failure) as error:
            yield Problem(keys, str(error))
            continue
        for kind, name, text in unusable(offered):
            yield Problem((*keys, kind, name), text, is_note=True)
        live = usable(offered)
        yield from check_upstream(prefix, upstream, pinned.get(prefix, lock.Definitions()), live)
    yield from check_shared(gateway, pinned)


def _check_credential(gateway: config.Gateway, credential: Credential) -> Iterator[Problem]:
    http = connection.http_allowed()
    try:
        with AgentGateVerifier(gateway.gate, credential.id, credential.secret, allow_http=http) as verifier:
            verifier.introspect("not-a-token")
    except (AgentGateError, ValueError) as error:
        hint = f"agentgate resource-servers rotate-secret {credential.id}"
        yield Problem((), f"The credential does not work: {error}. Replace its secret with: {hint}")


def _check_registration(
    gateway: config.Gateway, credential: Credential, known: Mapping[str, Scope]
) -> Iterator[Problem]:
    try:
        with developer(gateway) as api:
            server = own_server(api, credential.id)
    except AgentGateError as error:
        hint = f" {error.hint}" if isinstance(error, Failure) and error.hint else ""
        yield Problem((), f"What is registered was not compared: {error}{hint}")
        return
    if server.identifier != gateway.identifier:
        yield Problem(("identifier",), f"is not the registered one, {server.identifier}")
    if server.name != gateway.name:
        yield Problem(("name",), f"is not the registered one, {server.name}", is_note=True)
    yield from check_scopes(gateway, server.scopes, known)


def _name(problem: Problem) -> str:
    return shown(problem.keys[-1]) if problem.keys else ""


def _print(
    file: Path,
    text: str,
    gateway: config.Gateway,
    found: list[Problem],
    rows: list[tuple[str, str, str]],
    good: bool,
) -> None:
    for title, is_note in (("Does not hold:", False), ("Look at:", True)):
        some = [row for one, row in zip(found, rows, strict=True) if one.is_note == is_note]
        if some:
            print_line(title)
            print_causes(some)
    if good:
        print_line("All holds.")
    print_edits(file, text, gateway)
