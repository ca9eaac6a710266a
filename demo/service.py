"""A demo service: it does only what AgentGate allows the calling agent to do.

It reads AgentGate's address, its own credentials and its port from the environment, and uses only HTTP.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

SCOPES = {"/read-mail": "email:read", "/send-mail": "email:send", "/free-times": "calendar:freebusy"}
# What the service says about a call, so that the user sees it when asked for approval.
CONTENTS = {
    "/send-mail": {"verb": "send", "recipient": "bob@example.com", "text": "Tuesday at ten suits me. See you then!"}
}
TOKEN_PROBLEMS = ("invalid_token", "token_expired", "token_revoked")
gate = httpx.Client(
    base_url=os.environ["AGENTGATE_URL"] + "/api/v1",
    auth=(os.environ["SERVICE_ID"], os.environ["SERVICE_SECRET"]),
    timeout=10,
)


def verify(token: str, path: str, ip: str) -> dict[str, Any]:
    """Ask AgentGate. Deny on any error, because a service must never fail open."""
    context = {"ip": ip, **CONTENTS.get(path, {})}
    question = {"token": token, "requiredScopes": [SCOPES[path]], "action": path[1:], "context": context}
    try:
        return dict(gate.post("/tokens/verify", json=question).raise_for_status().json())
    except httpx.HTTPError as error:
        return {"allowed": False, "reason": f"AgentGate could not be reached: {error}"}


class Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        if self.path not in SCOPES:
            self.answer(404, {"reason": "not_found"})
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        decision = verify(token, self.path, self.client_address[0])
        if decision["allowed"]:
            self.answer(200, {"done": self.path[1:]})
        else:
            self.answer(401 if decision["reason"] in TOKEN_PROBLEMS else 403, decision)

    def answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Log nothing, because the agent prints what happens."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["SERVICE_PORT"])), Service).serve_forever()
