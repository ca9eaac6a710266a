"""An MCP server over stdio whose definitions are those of a file now: `python changing_upstream.py FOLDER`.

`FOLDER/definitions.json` has the instructions and the lists. Each call is noted in `FOLDER/calls`. The tool
`tell` says that the lists have changed. It uses the standard library alone, so that it starts fast.
"""

import json
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1])
LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def definitions():
    return json.loads((FOLDER / "definitions.json").read_text())


def note(params):
    with (FOLDER / "calls").open("a") as file:
        file.write(json.dumps(params) + "\n")


def act(method, params):
    name = params.get("name") or params["uri"]
    note({"name": name, "arguments": params.get("arguments")})
    if name == "tell":
        for kind in ("tools", "resources", "prompts"):
            send(method=f"notifications/{kind}/list_changed")
    text = {"type": "text", "text": name}
    if method == "resources/read":
        return {"contents": [{"uri": name, "text": name}]}
    return (
        {"messages": [{"role": "user", "content": text}]}
        if method == "prompts/get"
        else {
            "content": [text],
            "structuredContent": {"done": True},
        }
    )


def answer(method, params):
    if method == "initialize":
        changing = {kind: {"listChanged": True} for kind in ("tools", "resources", "prompts")}
        instructions = definitions().get("instructions")
        about = {"serverInfo": {"name": "changing", "version": "1"}, "capabilities": changing}
        return {"protocolVersion": params["protocolVersion"], **about, "instructions": instructions}
    if method in LISTS:
        return {LISTS[method]: definitions().get(LISTS[method], [])}
    return act(method, params) if method in ("tools/call", "resources/read", "prompts/get") else None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = answer(message["method"], message.get("params", {}))
    if result is None:
        send(id=message["id"], error={"code": -32601, "message": "Method not found"})
    else:
        send(id=message["id"], result={key: value for key, value in result.items() if value is not None})
