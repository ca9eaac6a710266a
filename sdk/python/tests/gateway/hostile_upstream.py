"""An MCP server over stdio that attacks its client when told to: `call("attack", {"how": ...})`.

`python hostile_upstream.py START`: START is "well", or an attack on the start. It uses the standard library
alone, so that it starts fast.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

SCHEMA = {"type": "object", "properties": {"text": {}, "seconds": {}, "marks": {}, "how": {}}}
TOOLS = ["echo", "pid", "wait", "environment", "count", "attack"]
LOCK = threading.Lock()
START = sys.argv[1]


def send(**message):
    write(json.dumps({"jsonrpc": "2.0", **message}))


def write(text):
    with LOCK:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def answer(number, text):
    send(id=number, result={"content": [{"type": "text", "text": text}]})


def flood(one):
    while True:
        write("\n".join([one] * 100))


def endless_line(number):
    while True:
        sys.stdout.write("x" * 65536)


def endless_notifications(number):
    params = {"level": "info", "data": "x" * 100}
    flood(json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": params}))


def endless_progress(number):
    params = {"progressToken": number, "progress": 1}
    flood(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))


def endless_invalid_notifications(number):
    flood(json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "hidden"}}))


def endless_lists(number):
    flood(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))


def endless_garbage(number):
    flood("no JSON")


def endless_blank_lines(number):
    flood("")


def endless_answers(number):
    flood(json.dumps({"jsonrpc": "2.0", "id": 999999, "result": {}}))


def endless_requests(number):
    for one in range(10**9):
        send(id=f"s{one}", method="ping")


def same_requests(number):
    flood(json.dumps({"jsonrpc": "2.0", "id": "same", "method": "ping"}))


def large_result(number):
    answer(number, "x" * 100_000_000)


def malformed_answer(number):
    write(json.dumps({"jsonrpc": "2.0", "id": number, "result": "no object"}))


def invalid_result(number):
    send(id=number, result={"content": "no list"})


def garbage_then_answer(number):
    write('no JSON\n{"jsonrpc": "2.0"\n[]\n\n{"jsonrpc":"2.0","id":{},"result":{}}')
    write("[" * 50_000)
    answer(number, "well")
    answer(number, "again")


def huge_progress(number):
    params = {"progressToken": number, "progress": 10**400}
    send(method="notifications/progress", params=params)
    answer(number, "well")


def hang(number):
    pass


def leave(number):
    end_with_error()


def end_with_error():
    sys.stderr.write(f"starting\nError: no such repository, key {os.environ.get('GIVEN')}\n\nNode.js v22.1.0")
    sys.stderr.flush()
    os._exit(3)


def close_output(number):
    os.close(1)
    time.sleep(60)


def large_stderr(number):
    for _ in range(1000):
        sys.stderr.write("e" * 1_000_000)
    answer(number, "well")


def change_list(number):
    send(method="notifications/tools/list_changed")
    answer(number, "changed")


def tell_secrets(number):
    """Write the value of GIVEN to stderr, and a line that is cut off in the middle of it."""
    secret = os.environ["GIVEN"]
    sys.stderr.write(f"key {secret}\n" + "x" * 1990 + secret.splitlines()[0] + "\nend\n")
    sys.stderr.flush()
    answer(number, "told")


def place(number):
    """Say where this program is, what is there, and which descriptors it has."""
    here = os.getcwd()
    found = {"folder": here, "entries": os.listdir("."), "mode": os.stat(here).st_mode & 0o777}
    descriptors = [one for one in range(3, 1000) if os.path.exists(f"/proc/self/fd/{one}")]
    open("left-behind", "w").close()
    answer(number, json.dumps({**found, "descriptors": descriptors, "temporary": os.environ["TMPDIR"]}))


def ignore_signals(number):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answer(number, str(os.getpid()))
    time.sleep(60)


def fork(number):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    answer(number, str(child.pid))


def ask(number):
    """Ask the user while this call waits. The answer of the client is the result.

    To find that an answer does not match the expression can take forever.
    """
    schema = {"type": "object", "properties": {"name": {"type": "string", "pattern": "^(a+)+$"}}}
    params = {"message": str(number), "requestedSchema": schema}
    send(id=f"ask{number}", method="elicitation/create", params=params)


def ask_for_roots(number):
    send(id=f"ask{number}", method="roots/list")


def answer_error(number):
    send(id=number, error={"code": -32042, "message": "Open the link", "data": {"why": "because"}})


def count(number, token, marks):
    """Say each mark as progress, and in the log, then answer with the last."""
    for mark in marks:
        params = {"progressToken": token, "progress": mark, "total": 1000, "message": str(mark)}
        send(method="notifications/progress", params=params)
        time.sleep(0.01)
    send(method="notifications/message", params={"level": "info", "logger": "up", "data": str(marks[-1])})
    answer(number, str(marks[-1]))


def call(number, name, arguments, token):
    if name == "echo":
        answer(number, arguments["text"])
    elif name == "pid":
        answer(number, str(os.getpid()))
    elif name == "count":
        threading.Thread(target=count, args=[number, token, arguments["marks"]]).start()
    elif name == "environment":
        answer(number, json.dumps(dict(os.environ)))
    elif name == "wait":
        threading.Timer(arguments["seconds"], answer, [number, str(arguments["seconds"])]).start()
    else:
        globals()[arguments["how"]](number)


def handle(message):
    number, method = message.get("id"), message.get("method")
    if method == "initialize":
        version = message["params"]["protocolVersion"]
        about = {"name": "hostile", "version": "1"}
        send(
            id=number, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
        )
    elif method == "tools/list" and START == "hanging_list":
        pass
    elif method == "tools/list" and START == "endless_list":
        send(id=number, result={"tools": [], "nextCursor": "same"})
    elif method == "tools/list" and START == "doubled_list":
        send(id=number, result={"tools": [{"name": "echo", "inputSchema": {"type": "object"}}] * 2})
    elif method == "tools/list" and START == "large_list":
        tool = {"name": "x", "inputSchema": {"type": "object"}, "description": "x" * 90_000}
        page = int(message.get("params", {}).get("cursor", 0))
        send(id=number, result={"tools": [{**tool, "name": str(page)}], "nextCursor": str(page + 1)})
    elif method == "tools/list":
        send(id=number, result={"tools": [{"name": one, "inputSchema": SCHEMA} for one in TOOLS]})
    elif method == "tools/call":
        params = message["params"]
        call(
            number, params["name"], params.get("arguments", {}), params.get("_meta", {}).get("progressToken")
        )
    elif method == "notifications/cancelled":
        sys.stderr.write(f"cancelled {message['params']['requestId']}\n")
        sys.stderr.flush()
    elif isinstance(number, str) and number.startswith("ask"):
        answer(int(number[3:]), json.dumps(message.get("result") or message.get("error")))
    elif number is not None and method is not None:
        send(id=number, error={"code": -32601, "message": "Method not found"})


def main():
    start = START
    if start == "exit":
        end_with_error()
    if start == "hang":
        time.sleep(60)
    if start == "endless_line":
        endless_line(0)
    if start == "banner":
        write("Welcome!")
    for line in sys.stdin:
        handle(json.loads(line))


if __name__ == "__main__":
    main()
