"""The consent screen over HTTP, and what verify then says."""

from html import unescape
from typing import Any

from django.test import Client

from accounts.models import User
from tests.oauth.client import OAuthClient, query_of
from tests.web.markup import text_of
from tests.world import sign_in


class Screen:
    """The consent screen in Ada's browser, for one request."""

    def __init__(self, client: OAuthClient, user: User, *scopes: str, **request: Any) -> None:
        self.client, self.browser = client, sign_in(user)
        self.url = client.authorize(self.browser, scope=" ".join(scopes), **request)["Location"]

    def html(self) -> str:
        return text_of(self.browser, self.url)

    def send(self, *scopes: str, **fields: Any) -> Any:
        return self.browser.post(self.url, {"decision": "allow", "scopes": scopes, **fields})

    def tokens(self, *scopes: str, **fields: Any) -> dict[str, Any]:
        answer = self.send(*scopes, **fields)
        assert answer.status_code == 303, unescape(answer.content.decode())
        return dict(self.client.redeem(query_of(answer)["code"]).json())

    def token(self, *scopes: str, **fields: Any) -> str:
        return str(self.tokens(*scopes, **fields)["access_token"])


def verify(token: str, scope: str, **more: Any) -> dict[str, Any]:
    body = {"token": token, "requiredScopes": [scope], **more}
    return Client().post("/api/v1/tokens/verify", body, content_type="application/json").json()


def ruled(decision: dict[str, Any]) -> tuple[bool, str | None, str | None]:
    return decision["allowed"], decision.get("reason"), (decision.get("policy") or {}).get("ruleType")
