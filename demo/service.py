"""A demo service: it does only what AgentGate allows the calling agent to do.

It reads AgentGate's address, its own credentials and its port from the environment, and uses only HTTP.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

SCOPES = {"/read-mail": "email:read", "/send-mail": "email:send", "/free-times": "calendar:freebusy"}
TOKEN_PROBLEMS = ("invalid_token", "token_expired", "token_revoked")
gate = httpx.Client(
    base_url=os.environ["AGENTGATE_URL"] + "/api/v1",
    auth=(os.environ["SERVICE_ID"], os.environ["SERVICE_SECRET"]),
    timeout=10,
)


def verify(token: str, scope: str, action: str, ip: str) -> dict[str, Any]:
    """Ask AgentGate. Deny on any error, because a service must never fail open."""
    question = {"token": token, "requiredScopes": [scope], "action": action, "context": {"ip": ip}}
    try:
        return dict(gate.post("/tokens/verify", json=question).raise_for_status().json())
    except httpx.HTTPError as error:
        return {"allowed": False, "reason": f"AgentGate could not be reached: {error}"}


class Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        scope = SCOPES.get(self.path)
        if scope is None:
            self.answer(404, {"reason": "not_found"})
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        decision = verify(token, scope, self.path[1:], self.client_address[0])
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
