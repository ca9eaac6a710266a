"""Fixtures for tests of the Python SDK against a running server."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.environment import Servers
from tests.live.gate import Agent, Developer, Gate, Person
from tests.live.server import ROOT, Databases, LiveServer

SDK = ROOT / "sdk" / "python"
AUDIT = ROOT / "sdk" / "audit"
sys.path[:0] = [str(folder / name) for folder in (SDK, AUDIT) for name in ("src", "tests")]
sys.path.append(str(SDK / "tests" / "cli"))

from agentgate_oauth import AgentGateAdmin, AgentGateClient  # noqa: E402 - found on the path set above
from agentgate_oauth.models import AuditEntry, NewResourceServer  # noqa: E402
from service_processes import Service, running_service  # noqa: E402


@pytest.fixture(scope="session")
def sdk_databases(servers: Servers) -> Databases:
    """SQLite only, in a separate folder: the SDK does not depend on the database."""
    folder = servers.folder / "sdk"
    folder.mkdir()
    return Databases(folder)


@pytest.fixture(scope="session")
def sdk_server(sdk_databases: Databases, servers: Servers) -> Iterator[LiveServer]:
    with LiveServer(sdk_databases.sqlite(), servers.folder, processes=2) as server:
        yield server
    server.require_clean_log()


@pytest.fixture(scope="session")
def gate(sdk_server: LiveServer) -> Gate:
    return Gate(sdk_server.url)


@pytest.fixture(scope="session")
def developer(gate: Gate) -> Developer:
    return gate.developer()


@pytest.fixture(scope="session")
def admin(gate: Gate, developer: Developer) -> Iterator[AgentGateAdmin]:
    with AgentGateAdmin(gate.url, developer.api_key) as admin:
        yield admin


@pytest.fixture(scope="session")
def mail_service(admin: AgentGateAdmin) -> NewResourceServer:
    return admin.create_resource_server(
        name="Mail", identifier="https://mail.example", scopes=["email:read", "email:send"]
    )


@pytest.fixture(scope="session")
def services(gate: Gate, mail_service: NewResourceServer) -> Iterator[Callable[[str], Service]]:
    """Yield a function that starts a guarded service on a framework when it is first asked for it."""
    with ExitStack() as stack:

        def start(name: str) -> Service:
            return stack.enter_context(running_service(name, gate.url, mail_service.id, mail_service.secret))

        yield cache(start)


@pytest.fixture(params=["django", "drf", "flask", "fastapi", "fastmcp"])
def service(request: pytest.FixtureRequest, services: Callable[[str], Service]) -> Service:
    return services(request.param)


@pytest.fixture
def agent(gate: Gate, developer: Developer) -> Agent:
    return gate.agent(developer)


@pytest.fixture
def person(gate: Gate) -> Person:
    return gate.person()


@pytest.fixture
def client(gate: Gate, agent: Agent) -> Iterator[AgentGateClient]:
    with AgentGateClient(gate.url, agent.client_id, agent.client_secret) as client:
        yield client


def verified(admin: AgentGateAdmin, audit_id: str) -> AuditEntry:
    """Return the log entry of a decision."""
    return next(entry for entry in admin.iter_audit_logs(event="token.verify") if entry.id == audit_id)
