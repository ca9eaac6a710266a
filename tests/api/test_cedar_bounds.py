"""Bounds of Cedar policies, through the API: per call, per policy and per organization."""

from typing import Any

from tests.api.conftest import Api, Json, expect, problem, verify

PERMIT = "permit (principal, action, resource);"
SLOW = PERMIT + 'forbid (principal, action, resource) when { context.request.t like "*' + "a" * 200 + 'b*" };'
LONG = {"t": "a" * 15_500}


def cedar(text: str = PERMIT) -> dict[str, Any]:
    return {"type": "cedar", "config": {"policy": text}}


def test_a_slow_policy_denies_through_the_api(developer: Api, tokens: Json) -> None:
    expect(201, developer.post("/policies", {"name": "Slow", "rules": [cedar(SLOW)]}))
    assert verify(tokens["accessToken"], context={"t": "short"})["allowed"] is True
    assert verify(tokens["accessToken"], context=LONG)["reason"] == "policy_denied"


def test_a_shadow_takes_nothing_from_what_decides(developer: Api, tokens: Json) -> None:
    shadow = {"name": "Shadow", "mode": "shadow", "rules": [cedar(SLOW)]}
    expect(201, developer.post("/policies", shadow))
    expect(201, developer.post("/policies", {"name": "Own", "rules": [cedar()]}))
    assert verify(tokens["accessToken"], context=LONG)["allowed"] is True


def test_a_policy_has_at_most_two(developer: Api) -> None:
    body = {"name": "x", "rules": [cedar()] * 3}
    problem(developer.post("/policies", body), 400, "validation_failed", "rules.2.type")
    kept = expect(201, developer.post("/policies", {"name": "x", "rules": [cedar()] * 2}))
    changed = developer.patch(f"/policies/{kept['id']}", {"rules": [cedar()] * 3})
    problem(changed, 400, "validation_failed", "rules.2.type")


def test_an_organization_has_at_most_ten_that_are_enabled(developer: Api, rival: Api) -> None:
    for number in range(5):
        mode = "shadow" if number % 2 else "enforce"
        expect(201, developer.post("/policies", {"name": "x", "mode": mode, "rules": [cedar()] * 2}))
    one = {"name": "x", "rules": [cedar()]}
    problem(developer.post("/policies", one), 400, "validation_failed", "rules")
    off = expect(201, developer.post("/policies", {**one, "enabled": False}))
    problem(developer.patch(f"/policies/{off['id']}", {"enabled": True}), 400, "validation_failed", "enabled")
    other = expect(201, developer.post("/policies", {"name": "x", "rules": []}))
    problem(developer.patch(f"/policies/{other['id']}", {"rules": [cedar()]}), 400, "validation_failed", "rules")
    full = expect(200, developer.get("/policies"))["items"][-1]
    expect(200, developer.patch(f"/policies/{full['id']}", {"rules": [cedar()] * 2, "enabled": True}))
    expect(200, developer.patch(f"/policies/{full['id']}", {"enabled": False}))
    expect(200, developer.patch(f"/policies/{off['id']}", {"enabled": True}))
    expect(201, rival.post("/policies", one))
