"""The servers that are measured: the product and its references. Each is a context manager that yields targets."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks import oidc_provider
from benchmarks.serving import wsgi
from benchmarks.stores import Seeded, Store, printed
from benchmarks.wrk import Load
from tests.live.server import LiveServer, full

SAMPLES = 20
USER_AGENT = "acme-mail/4.2 (+https://mail.example/about)"
QUESTION = {
    "requiredScopes": ["email:read"],
    "action": "email:read",
    "resource": "https://mail.example/mailboxes/inbox/messages/18c2f0b7",
    "context": {
        "ip": "203.0.113.7",
        "verb": "read",
        "recipient": "grace@navy.example",
        "target": "inbox",
        "text": "Find the invoices of last month, and put the totals into the weekly report.",
    },
}
VERIFY = "/api/v1/tokens/verify"
# Of 1, 2, 4 and 8 threads, these gave the references the best rates or, if those were equal, the best latencies.
PROCESSES, FLOOR_THREADS, TOOLKIT_THREADS, NAIVE_THREADS = 2, 1, 2, 4


@dataclass(frozen=True)
class Target:
    """A server with its load. `is_right` judges the JSON of an answer. `pids` are its processes, without children.

    `sequencers` are those children of the product that move its journal into its log.
    """

    name: str
    url: str
    load: Load
    pids: Sequence[int]
    is_right: Callable[[Any], bool]
    sequencers: Sequence[int] = ()

    def check(self) -> None:
        """Send some of the requests. Raises `RuntimeError` for a wrong answer."""
        step = max(1, len(self.load.requests) // SAMPLES)
        with httpx.Client(base_url=self.url, headers=self.load.headers, timeout=30) as client:
            for path, body in self.load.requests[::step]:
                answer = client.post(path, content=body)
                if answer.status_code != 200 or not self.is_right(answer.json()):
                    raise RuntimeError(f"{self.name} answered {answer.status_code}: {answer.text[:500]}")


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def verify_load(given: dict[str, Any]) -> Load:
    """Return verify requests of a resource server, one for each token."""
    bodies = [json.dumps({"token": token, **QUESTION}, separators=(",", ":")) for token in given["tokens"]]
    headers = {"Content_Type": "application/json", "User_Agent": USER_AGENT}
    return Load.of_bodies(VERIFY, bodies, Authorization=basic(*given["server"]), **headers)


def is_allowed(answer: Any) -> bool:
    return answer["allowed"] is True and str(answer.get("auditId", "")).startswith("log_")


@contextmanager
def product(store: Store, seeded: Seeded) -> Iterator[LiveServer]:
    """Run the real server on this database."""
    with LiveServer(seeded.database, store.folder, store.processes, **seeded.database.environment) as server:
        yield server


def verify(server: LiveServer, seeded: Seeded) -> Target:
    return of_product("verify", server, verify_load(seeded.given), is_allowed)


def of_product(name: str, server: LiveServer, load: Load, is_right: Callable[[Any], bool] = bool) -> Target:
    sequencer = server.sequencer()
    assert sequencer
    return Target(name, server.url, load, [server.pid], is_right, [sequencer.pid])


@contextmanager
def floor(store: Store, seeded: Seeded) -> Iterator[list[Target]]:
    log = store.folder / "floor.log"
    with wsgi("benchmarks.floor:application", {}, log, PROCESSES, FLOOR_THREADS) as (url, pid):
        yield [Target("floor", url, verify_load(seeded.given), [pid], lambda answer: answer["allowed"] is True)]


@contextmanager
def naive(store: Store, seeded: Seeded) -> Iterator[list[Target]]:
    """Run the naive reference on a database of its own, a copy of the product's."""
    variables = full({**store.copy(seeded).database.environment, "DJANGO_SETTINGS_MODULE": "benchmarks.naive.settings"})
    log = store.folder / "naive.log"
    with wsgi("benchmarks.wsgi:application", variables, log, store.processes, NAIVE_THREADS) as (url, pid):
        yield [Target("naive", url, verify_load(seeded.given), [pid], is_allowed)]


@contextmanager
def toolkit(store: Store, seeded: Seeded) -> Iterator[list[Target]]:
    """Run the introspection of django-oauth-toolkit, with as many tokens as the product has."""
    variables = {**store.empty(), "DJANGO_SETTINGS_MODULE": "benchmarks.dot.settings"}
    given = printed("benchmarks.dot.seed", str(len(seeded.given["tokens"])), variables)
    log = store.folder / "dot.log"
    with wsgi("benchmarks.wsgi:application", variables, log, PROCESSES, TOOLKIT_THREADS) as (url, pid):
        yield [
            Target(name, url, introspections(given["tokens"], "/introspect", credential), [pid], is_active)
            for name, credential in (
                ("dot_bearer", f"Bearer {given['bearer']}"),
                ("dot_basic", basic(*given["client"])),
            )
        ]


@contextmanager
def oidc(store: Store, seeded: Seeded) -> Iterator[list[Target]]:
    """Run node oidc-provider, which keeps its tokens in Redis. Yield no target without Redis, npm or the network."""
    redis = seeded.database.environment["REDIS_URL"]
    if not redis or not (node := oidc_provider.install(store.folder / "node")):
        yield []
        return
    with oidc_provider.served(node, redis, PROCESSES, len(seeded.given["tokens"])) as (url, pid, tokens, client):
        load = introspections(tokens, oidc_provider.INTROSPECT, basic(*client))
        yield [Target("oidc_redis", url, load, [pid], is_active)]


def introspections(tokens: Sequence[str], path: str, credential: str) -> Load:
    bodies = [f"token={token}" for token in tokens]
    kind = "application/x-www-form-urlencoded"
    return Load.of_bodies(path, bodies, Authorization=credential, Content_Type=kind)


def is_active(answer: Any) -> bool:
    return answer["active"] is True


REFERENCES = {"floor": floor, "naive": naive, "dot": toolkit, "oidc": oidc}


@contextmanager
def running(store: Store, seeded: Seeded, references: Sequence[str]) -> Iterator[tuple[LiveServer, list[Target]]]:
    """Run the product and these references. Yield the server and all targets, the product first."""
    with ExitStack() as stack:
        server = stack.enter_context(product(store, seeded))
        found = [stack.enter_context(REFERENCES[name](store, seeded)) for name in references]
        yield server, [verify(server, seeded), *(target for targets in found for target in targets)]


def scripts(targets: Sequence[Target], folder: Path) -> dict[str, Path]:
    """Write the script of each target and return them by name."""
    return {target.name: target.load.write(folder, target.name) for target in targets}
