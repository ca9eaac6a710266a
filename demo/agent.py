"""A demo agent: it asks a user for access, uses it, and stops when the access is revoked.

It reads the addresses of AgentGate and the service and its own credentials from the environment, and uses only HTTP.
"""

import base64
import hashlib
import os
import secrets
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import cycle
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

SCOPES = ["email:read", "email:send", "calendar:freebusy"]
ACTIONS = ["read-mail", "free-times", "send-mail"]
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "4"))
PAGE = f"""<!doctype html><html lang="en"><title>SmartMail</title>
<p>Watch the terminal, and revoke access under <a href="{os.environ["AGENTGATE_URL"]}/connections">Connections</a>."""
WAIT_SECONDS = 580  # a request expires after ten minutes
# After these the agent continues, because its next call may be allowed.
TEMPORARY_REASONS = ("insufficient_scope", "policy_denied", "approval_required", "consent_paused")

gate = httpx.Client(base_url=os.environ["AGENTGATE_URL"] + "/api/v1", timeout=10)
service = httpx.Client(base_url=os.environ["SERVICE_URL"], timeout=15)
credentials = {"clientId": os.environ["CLIENT_ID"], "clientSecret": os.environ["CLIENT_SECRET"]}
say = partial(print, flush=True)


class Listener(HTTPServer):
    """The server to which the browser returns (RFC 8252 section 7.3), on any free port."""

    answer: dict[str, str] | None = None
    timeout = 1

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/callback"


class Callback(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.encode())
        if "state" in query:
            self.server.answer = query

    def log_message(self, *args: Any) -> None:
        """Log nothing, because the query contains the code."""


def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
    return dict(gate.post(path, json=body).raise_for_status().json())


def ask_for_access() -> dict[str, Any] | None:
    """Ask for consent until the user decides. Return the tokens, or None if the user denied."""
    with Listener(("127.0.0.1", 0), Callback) as listener:
        while True:
            verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
            request_consent(listener, verifier, state)
            answer = wait_for_answer(listener, state)
            if answer is None:
                say("agent: The request expired without an answer. Asking again.")
            elif "code" in answer:
                return post("/tokens/exchange", {**credentials, "code": answer["code"], "codeVerifier": verifier})
            else:
                return None


def request_consent(listener: Listener, verifier: str, state: str) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    request = {
        **credentials,
        "requestedScopes": SCOPES,
        "redirectUri": listener.redirect_uri,
        "state": state,
        "codeChallenge": challenge,
        "codeChallengeMethod": "S256",
        "reason": "To sort your mail and answer invitations.",
    }
    say(f"agent: SmartMail asks for {', '.join(SCOPES)}.")
    say("agent: Open this link, sign in, and allow all, some or none of it:\n")
    say(f"    {post('/consent/initiate', request)['consentUrl']}\n")


def wait_for_answer(listener: Listener, state: str) -> dict[str, str] | None:
    """Return the browser's parameters, or None if the request expired. Ignore an answer with a wrong `state`."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        listener.handle_request()
        if listener.answer and secrets.compare_digest(listener.answer["state"], state):
            return listener.answer
    return None


def work(tokens: dict[str, Any]) -> str:
    """Call the service until AgentGate ends the access. Return the reason."""
    say(
        f"agent: You allowed {', '.join(tokens['grantedScopes'])}. You can revoke access at any time under Connections."
    )
    for action in cycle(ACTIONS):
        headers = {"Authorization": f"Bearer {tokens['accessToken']}"}
        answer = service.post(f"/{action}", headers=headers).json()
        reason = answer.get("reason")
        if reason == "token_expired":
            tokens = post("/tokens/refresh", {**credentials, "refreshToken": tokens["refreshToken"]})
            continue
        say(f"agent: {action:<10}  {describe(answer)}")
        if reason and reason not in TEMPORARY_REASONS:
            return str(reason)
        time.sleep(PAUSE_SECONDS)
    return ""


def describe(answer: dict[str, Any]) -> str:
    if "done" in answer:
        return "allowed"
    if answer.get("approvalStatus") == "denied":
        return "denied: you said no"
    if "approvalUrl" in answer:
        return f"waits for your approval: {answer['approvalUrl']}"
    policy = answer.get("policy")
    return f"denied: {answer['reason']}" + (f", by the policy “{policy['name']}”" if policy else "")


def main() -> None:
    try:
        tokens = ask_for_access()
        if tokens is None:
            say("agent: You denied the request. Stopping.")
        else:
            say(f"agent: Access has ended ({work(tokens)}). Stopping.")
    except httpx.HTTPError as error:
        say(f"agent: Stopping because of an error: {error}")


if __name__ == "__main__":
    main()
