"""All guides, one after the other on one server and in one shell, as their texts say: and then all of them again.

Each program has only what its page installs, and the browser does what the page says. So two guides that use the same
address, name or file, and a guide that works only once, fail here.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from tests.clean_environment import build_wheel
from tests.constants import PASSWORD
from tests.demo.test_readme import blocks as section_of_readme
from tests.demo.test_readme import json_values
from tests.environment import Servers
from tests.live.oauth import node
from tests.live.oauth.proxies import proxied
from tests.live.oauth.services import agent_on, blocks, code_on
from tests.live.outside import SOURCES
from tests.live.receivers import in_python
from tests.live.sending import working
from tests.live.server import ROOT, Databases, LiveServer
from tests.live.walking import PROGRAM_SECONDS, README, Walk
from tests.programs import find_program
from tests.sdk.terminal import Terminal
from tests.waiting import wait_until

pytestmark = pytest.mark.browser

STEPS = "The eight steps, with curl"
# What each rule of docs/policies.md says of the request of the page: an email to a@acme.com.
SIMULATED = {
    "action_allowlist": "passed",
    "action_blocklist": "denied",
    "cedar": "denied",
    "context_match": "passed",
    "data_flow": "passed",
    "delegation": "passed",
    "ip_allowlist": "denied",
    "rate_limit": "passed",
    "spend_limit": "denied",
}
# What the readers of docs/teams.md do before: they register, and confirm their addresses with the mailed code.
REGISTER = """
send "$API/$REGISTER_AT" -d "$NAMED"
PERSON=$(send "$API/users/login" -d "$ACCOUNT" | field sessionToken)
send "$API/users/me/email/verification" -d '{}' -H "Authorization: Bearer $PERSON"
"""
CONFIRM = """
send "$API/users/me/email/verification/confirm" -d '{"code": "'"$CODE"'"}' -H "Authorization: Bearer $PERSON"
"""
# A desktop client, with the official package: it starts what its configuration says.
DESKTOP = """
import asyncio, json, os
from mcp import Client, StdioServerParameters

async def main():
    program = StdioServerParameters(**json.loads(os.environ["ENTRY"]), env=dict(os.environ))
    async with Client(program) as client:
        print((await client.call_tool("read_text_file", {"path": "todo.txt"})).content[0].text)

asyncio.run(main())
"""
DEPLOYMENT = (ROOT / "docs/deployment.md").read_text()


def follow_readme(walk: Walk) -> None:
    printed = walk.run(section_of_readme("sh", STEPS))
    answers = json_values(printed)
    decisions = [(one["allowed"], one.get("reason")) for one in answers if "allowed" in one]
    assert decisions == [(True, None), (False, "insufficient_scope"), (False, "consent_revoked")]
    (log,) = [one["items"] for one in answers if "items" in one]
    assert [entry["outcome"] for entry in log] == ["denied", "allowed"]
    assert f"{walk.server.url}/consent/cns_" in printed
    page = walk.page(README)
    (program,) = blocks(README, "python")
    (page.folder / "first.py").write_text(program)
    assert walk.run("python first.py", page) == page.printed()


def follow_delegation(walk: Walk) -> None:
    page = walk.page("delegation.md")
    printed = json_values(walk.run("\n".join(blocks(page.name, "sh"))))
    decisions = [one for one in printed if "allowed" in one and "actor" in one]
    assert [(one["allowed"], one.get("reason")) for one in decisions] == [(True, None), (False, "delegation_ended")]
    assert set(decisions[0]) == set(json_values(blocks(page.name, "json")[0])[0])
    (exchanged,) = [one for one in printed if "issued_token_type" in one]
    assert exchanged["scope"] == "email:read"
    (page.folder / "team.py").write_text(page.block("# team.py", "python"))
    assert walk.run("python team.py", page) == page.printed()


def follow_evidence(walk: Walk) -> None:
    page = walk.page("evidence.md")
    main = f"import sys\nsys.path.insert(0, '{SOURCES}')\nfrom agentgate_audit.cli import main\nsys.exit(main())"
    page.add_program("agentgate-audit", sys.executable, main)
    printed = walk.run("\n".join(blocks(page.name, "sh")), page)
    said = [line for line in printed.splitlines() if line.endswith((" holds.", " authentic.", " log."))]
    assert said == ["Everything holds.", "The receipt is authentic.", "The entry is in the log."]
    assert "consistency " in printed
    assert "question     matches" in printed


def follow_teams(walk: Walk) -> None:
    page = walk.page("teams.md")
    places, terminals = {"https://api.agentgate.dev": walk.server.url}, {}
    for name, path in {"Ada": "developers/register", "Grace": "users/register"}.items():
        address = f"{name.lower()}-{token_hex(8)}@acme.example"
        places[f"{name.lower()}@acme.example"] = address
        account = {"email": address, "password": PASSWORD}
        named = {"name": "Acme", **account} if name == "Ada" else account
        walk.run(REGISTER, ACCOUNT=json.dumps(account), NAMED=json.dumps(named), REGISTER_AT=path)
        walk.run(CONFIRM, CODE=walk.mailed_code(address))
        (page.folder / address).mkdir()
        terminals[name] = Terminal(page.folder / address, AGENTGATE_PASSWORD=PASSWORD)
    for block in blocks(page.name, "sh"):
        who, *lines = block.splitlines()
        terminal = terminals[who.removeprefix("# ")]
        for line in lines:
            if "inv_..." in line:
                (places["inv_..."],) = [one["id"] for one in terminal.json("invitations", "mine")["items"]]
            for place, value in places.items():
                line = line.replace(place, value)
            terminal.type(line)
    assert terminals["Grace"].json("agents", "list", code=1)["status"] == 403
    (left,) = terminals["Ada"].json("members", "list")["items"]
    assert left["email"] == places["ada@acme.example"]


def follow_forward_auth(walk: Walk) -> None:
    """Follow the page with nginx, which serves the files itself. `oauth/test_forward_auth.py` tries all proxies."""
    page = walk.page("forward-auth.md")
    *_, credential = walk.run(page.block("resource-servers create"), page).split()
    places: dict[str, int | str] = {
        "gate": walk.server.port,
        "service": 9004,
        "port": 9005,
        "credential": f"Basic {credential}",
    }
    with proxied("nginx-with-files", walk.folder, **places):
        answers = walk.run(page.block("--include"), page)
    assert re.findall(r"HTTP/1.1 (\d+)", answers) == ["200", "401"]


def follow_policies(walk: Walk) -> None:
    page = walk.page("policies.md")
    made = json.loads(walk.run(page.block("office hours"), page))
    assert made["mode"] == "shadow"
    rules = json.loads(page.block("action_blocklist", "json"))
    known = walk.variables()
    simulate = page.block("policies/simulate")
    simulate = simulate.replace("agt_...", known["AGENT_ID"]).replace(
        "usr_...", json.loads(known["ACCEPTED"])["userId"]
    )
    (example,) = re.findall(r'\{"type": "rate_limit", .*?\}\}', simulate)
    said = {}
    for rule in rules:
        (traced,) = json.loads(walk.run(simulate.replace(example, json.dumps(rule)), page))["decision"]["trace"]
        said[traced["ruleType"]] = traced["outcome"]
    assert said.pop("time_window") in ("passed", "denied")  # by the time of day
    assert said == SIMULATED


def follow_events(walk: Walk) -> None:
    page = walk.page("events.md")
    port = 9006
    create = page.block('"types": ["consent.*"').replace(
        "https://hooks.acme.com/agentgate", f"http://127.0.0.1:{port}/"
    )
    webhook = json.loads(walk.run(create, page))
    with in_python(webhook["secret"], 9006, page.folder) as receiver:
        walk.run(section_of_readme("sh", STEPS))
        wait_until(lambda: len(receiver.accepted()) >= 3, receiver.log.read_text, PROGRAM_SECONDS)
    rotated = walk.run(page.block("/rotate-secret"), page, WEBHOOK_ID=webhook["id"])
    assert json_values(rotated)[0]["secret"] != webhook["secret"]
    feed = json.loads(walk.run(page.block("&limit=50"), page))
    assert [event["stream"]["number"] for event in feed["items"]] == list(range(1, feed["next"] + 1))
    assert walk.run(page.block("text/event-stream"), page).count("\ndata:") == len(feed["items"])


def follow_service(walk: Walk, name: str, port: int) -> None:
    page = walk.page(name)
    walk.run(page.block("resource-servers create"), page)
    (page.folder / "service.py").write_text(code_on(name))
    (page.folder / "agent.py").write_text(agent_on(name))
    with page.serving("python service.py", f"http://127.0.0.1:{port}/tickets"):
        printed = walk.run("python agent.py", page)
    assert [line.split()[0] for line in printed.splitlines()] == ["200", "403", "401"]


def follow_fastmcp(walk: Walk) -> None:
    page = walk.page("protect-fastmcp.md")
    walk.run(page.block("resource-servers create"), page)
    (page.folder / "tickets.py").write_text(code_on(page.name))
    (said,) = re.findall(r"It prints `(.*?)`", page.text)
    with page.serving("python tickets.py", "http://127.0.0.1:9003/mcp"):
        assert walk.run(page.block("fastmcp import Client"), page) == f"{said}\n"


def follow_gateway(walk: Walk) -> None:
    page = walk.page("gateway.md")
    (page.folder / "ask.py").write_text(page.block("# ask.py", "python"))
    if not (page.folder / "node_modules").exists():
        # npx takes the server from here, as it would from the registry.
        (page.folder / "node_modules").symlink_to(node.FOLDER / "node_modules")
    init = page.block("gateway init")
    if (page.folder / "gateway.yaml").exists():
        init = init.replace("gateway init --", "gateway init --replace --")
    assert "agentgate gateway run" in page.answer(init, "y\n")
    profile = page.folder / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    with page.serving("agentgate gateway run", "http://127.0.0.1:9000/health"):
        printed = walk.run("python ask.py", page, PROFILE=str(profile))
    expected = page.printed().replace("/home/ada", str(page.folder))
    assert re.fullmatch(re.escape(expected).replace(re.escape("..."), ".*"), printed), printed
    entries = [block.replace("/home/ada", str(page.folder)) for block in blocks(page.name, "json")]
    (entry,) = [json.loads(block)["mcpServers"]["notes"] for block in entries if "mcpServers" in block]
    (page.folder / "desktop.py").write_text(DESKTOP)
    printed = walk.run("python desktop.py", page, ENTRY=json.dumps(entry), CLICKS=page.clicks()[1], PROFILE="")
    assert printed == "Buy bread\n"


def follow_operations(walk: Walk) -> None:
    """Rotate the key, upgrade, restore the backup that was made before, and verify the log."""
    walk.manage("rotate_signing_keys")
    (backup,) = re.findall(r"`\.venv/bin/python (-m sqlite3 .*?)`", DEPLOYMENT)
    database = Path(walk.server.database.environment["DATABASE_PATH"])
    copy = walk.folder / re.findall(r"VACUUM INTO '(.*?)'", backup)[0]
    copy.unlink(missing_ok=True)  # which the guide's reader keeps elsewhere
    walk.run(f"{sys.executable} {backup.replace('var/agentgate.db', str(database))}")
    walk.stop()
    walk.manage("migrate")
    walk.start()
    assert " 0 problems" in walk.manage("doctor", warns=True)

    walk.stop()
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    copy.replace(database)
    (reason,) = set(re.findall(r'end_all_tokens --passwords --reason "(.*?)"', DEPLOYMENT))
    assert "Ended: connections" in walk.manage("end_all_tokens", "--passwords", "--reason", reason)
    walk.start()
    checkpoint = Path(walk.server.environment["AUDIT_ANCHOR_DIR"]) / "checkpoint"
    assert f"The log continues {checkpoint}." in walk.manage("audit_verify", "--checkpoint", str(checkpoint))


GUIDES: dict[str, Callable[[Walk], None]] = {
    "README": follow_readme,
    "delegation": follow_delegation,
    "evidence": follow_evidence,
    "policies": follow_policies,
    "forward authorization": follow_forward_auth,
    "teams": follow_teams,
    "events": follow_events,
    "Django": lambda walk: follow_service(walk, "protect-django.md", 9001),
    "FastAPI": lambda walk: follow_service(walk, "protect-fastapi.md", 9002),
    "FastMCP": follow_fastmcp,
    "gateway": follow_gateway,
    "operations": follow_operations,
}


@pytest.fixture(scope="module")
def walk(databases: Databases, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    for program in ("curl", "npx"):
        find_program(program)
    node.install()
    folder = tmp_path_factory.mktemp("walk")
    wheel = build_wheel(folder)
    with LiveServer(databases.sqlite(), folder, 1, WEBHOOK_ALLOW_LOOPBACK="true") as server:
        with working(server.database, folder, **server.environment) as worker:
            yield Walk(server, worker, wheel, folder)
        server.require_clean_log()


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("turn", [1, *(pytest.param(turn, marks=pytest.mark.soak) for turn in (2, 3))])
def test_each_guide_does_what_it_says_after_all_before_it(walk: Walk, turn: int, guide: str) -> None:
    """CI walks once, and soak twice, because a walk takes a minute of CPU."""
    GUIDES[guide](walk)
