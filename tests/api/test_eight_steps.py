"""The eight steps: register, agent, consent, exchange, verify, audit, refresh, revoke."""

from tests.api.conftest import Api, Json, credentials, expect, verify


def test_from_consent_to_revocation(developer: Api, agent: Json, ada: Api, tokens: Json) -> None:
    decision = verify(tokens["accessToken"])
    assert decision["allowed"] is True
    assert decision["grantedScopes"] == tokens["grantedScopes"]

    items = expect(200, developer.get("/audit?event=token.verify"))["items"]
    assert [item["id"] for item in items] == [decision["auditId"]]

    body = {"refreshToken": tokens["refreshToken"], **credentials(agent)}
    renewed = expect(200, Api().post("/tokens/refresh", body))
    assert verify(renewed["accessToken"])["allowed"] is True

    (connection,) = expect(200, ada.get("/users/me/consents"))["items"]
    assert connection["lastUsedAt"] is not None
    revoked = expect(200, ada.post(f"/users/me/consents/{connection['id']}/revoke"))
    assert revoked["status"] == "revoked"
    assert verify(renewed["accessToken"])["reason"] == "consent_revoked"
