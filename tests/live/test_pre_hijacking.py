"""Account pre-hijacking on a running server: the owner's reset ends everything that a stranger created."""

import re
import secrets

import httpx

from tests.constants import NEW_PASSWORD
from tests.live.gate import PASSWORD, Gate, Person, expect
from tests.live.server import LiveServer
from tests.mails import JOINER

VICTIM, MINE = (f"{name}-{secrets.token_hex(8)}@example.com" for name in ("victim", "stranger"))


class Browser:
    """A browser without JavaScript. It keeps cookies and submits forms."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, follow_redirects=True, timeout=60)

    def submit(self, path: str, **fields: str) -> httpx.Response:
        page = self.http.get(path)
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[-1]
        headers = {"Referer": self.server.url, "Origin": self.server.url}
        return self.http.post(page.url, data={"csrfmiddlewaretoken": token, **fields}, headers=headers)

    def is_signed_in(self) -> bool:
        return "/accounts/login/" not in str(self.http.get("/connections").url)


def newest(server: LiveServer, pattern: str) -> str:
    """Return the newest match in the log, which contains the mails if there is no mail server."""
    return str(re.findall(pattern, server.log_text(), re.M)[-1])


def reset(server: LiveServer, email: str, password: str) -> None:
    browser = Browser(server)
    browser.submit("/accounts/password/reset/", email=email)
    link = newest(server, r"https?://\S+?(/accounts/password/reset/key/\S+)")
    done = browser.submit(link, password1=password, password2=password)
    assert "You can now sign in with your new password" in done.text


def test_nothing_that_a_stranger_created_survives_the_owners_reset(gate: Gate, shared_server: LiveServer) -> None:
    server = shared_server
    body = {"name": "Mine", "email": VICTIM, "password": PASSWORD}
    key = {"X_Api_Key": expect(201, gate.post("/developers/register", body))["apiKey"]}
    login = expect(200, gate.post("/users/login", {"email": VICTIM, "password": PASSWORD}))
    session = Person(login["id"], VICTIM, login["sessionToken"])
    agent = gate.agent(gate.developer())
    tokens = gate.tokens(agent, session)
    browser = Browser(server)
    browser.submit("/accounts/login/", login=VICTIM, password=PASSWORD)
    browser.submit("/accounts/email/", email=MINE, action_add="")
    browser.submit("/accounts/email/confirm/", code=newest(server, r"^ +([0-9A-Z]{5}-[0-9A-Z]{5})$"))
    assert browser.is_signed_in()
    assert gate.verify(tokens["accessToken"])["allowed"] is True

    reset(server, VICTIM, NEW_PASSWORD)

    assert gate.verify(tokens["accessToken"])["reason"] == "token_revoked"
    assert gate.refresh(agent, tokens["refreshToken"]).status_code == 400
    assert gate.get("/agents", **key).status_code == 401
    bearer = {"Authorization": f"Bearer {session.session_token}"}
    assert gate.get("/users/me/consents", **bearer).status_code == 401
    assert not browser.is_signed_in()
    assert gate.post("/users/login", {"email": VICTIM, "password": PASSWORD}).status_code == 401
    Browser(server).submit("/accounts/password/reset/", email=MINE)
    mailed = server.log_text().replace(JOINER, "")
    assert f"No active AgentGate account has {MINE} as its primary address" in mailed
    owner = Browser(server)
    owner.submit("/accounts/login/", login=VICTIM, password=NEW_PASSWORD)
    assert owner.is_signed_in()
    assert MINE not in owner.http.get("/accounts/email/").text
