"""`agentgate gateway init`, `check` and `accept` with server-filesystem from npm, against a running server."""

from pathlib import Path

import pytest
from agentgate_oauth import AgentGateVerifier
from agentgate_oauth.gateway import config, lock
from agentgate_oauth.gateway.files import Files, load_credential

from tests.live.gate import Gate, Person
from tests.live.oauth import node
from tests.sdk.test_command_line import Terminal
from tests.servers import free_port

SERVER = "@modelcontextprotocol/server-filesystem/dist/index.js"


@pytest.fixture
def filesystem(tmp_path: Path) -> list[str]:
    """The command of server-filesystem, which serves the folder `notes`."""
    node.install()
    modules = node.FOLDER / "node_modules"
    (tmp_path / "notes").mkdir()
    return [str(modules / node.node_package() / "bin" / "node"), str(modules / SERVER), str(tmp_path / "notes")]


def test_a_gateway_is_set_up_checked_extended_and_updated(
    gate: Gate, person: Person, tmp_path: Path, filesystem: list[str]
) -> None:
    developer = gate.developer()
    terminal = Terminal(tmp_path, AGENTGATE_URL=gate.url, AGENTGATE_API_KEY=developer.api_key)
    identifier, prefix = f"http://127.0.0.1:{free_port()}/mcp", f"notes-{developer.id[-8:]}"
    init = ("gateway", "init", "--yes", "--prefix")
    about = ("--name", "Notes", "--identifier", identifier)
    printed = terminal.run(*init, prefix, *about, "--", *filesystem)
    assert f"{prefix}:move_file" in printed
    files = Files(tmp_path / "gateway.yaml")
    upstream = config.load(files.config).upstreams[prefix]
    assert upstream.root == str(tmp_path / "notes")
    assert (upstream.tools["read_text_file"].asks, upstream.tools["write_file"].asks) == (False, True)
    assert "All holds" in terminal.run("gateway", "check")

    server = terminal.json("resource-servers", "show", "Notes")
    own = [one for one in server["scopes"] if isinstance(one, dict)]
    assert all("reversible" not in one for one in own if one["riskLevel"] in ("high", "critical"))
    credential = load_credential(files.credential)
    move, agent = f"{prefix}:move_file", gate.agent(developer, (f"{prefix}:move_file",))
    asked = gate.initiate(agent, (move,), resource=[identifier])
    token = gate.exchange(agent, gate.approve(asked, person, modes={move: "allow"})).json()["accessToken"]
    with AgentGateVerifier(gate.url, credential.id, credential.secret) as verifier:
        assert verifier.verify(token, [move], resource="move_file").allowed

    shop = f"shop-{developer.id[-8:]}"
    assert f"{shop}:move_file" in terminal.run(*init, shop, "--", *filesystem)
    pinned = lock.load(files.lock)
    lock.save(files.lock, {**pinned, shop: pinned[shop].with_one("tools", "move_file", None)})
    gateway = config.load(files.config)
    lines = {name: line for name, line in gateway.upstreams[shop].tools.items() if name != "move_file"}
    upstreams = {**gateway.upstreams, shop: gateway.upstreams[shop].model_copy(update={"tools": lines})}
    scopes = {name: scope for name, scope in gateway.scopes.items() if name != f"{shop}:move_file"}
    files.config.write_text(config.dump(gateway.model_copy(update={"upstreams": upstreams, "scopes": scopes})))
    terminal.run("resource-servers", "scopes", "Notes", "--remove", f"{shop}:move_file")
    assert "is new, so it is not exposed" in terminal.run("gateway", "check", code=1)
    terminal.run("gateway", "accept", "--all", "--yes")
    assert lock.load(files.lock) == pinned
    registered = terminal.json("resource-servers", "show", "Notes")["scopes"]
    assert f"{shop}:move_file" in [one["id"] for one in registered if isinstance(one, dict)]

    other = Terminal(tmp_path / "notes", AGENTGATE_URL=gate.url, AGENTGATE_API_KEY=gate.developer().api_key)
    elsewhere = ("--identifier", f"http://127.0.0.1:{free_port()}/mcp", "--", *filesystem)
    taken = other.run(*init, shop, *elsewhere, code=1)
    assert "Nothing was registered or written" in taken
    assert f"Another organization uses the prefix {shop}" in taken
    assert not list((tmp_path / "notes").glob("gateway.*"))
