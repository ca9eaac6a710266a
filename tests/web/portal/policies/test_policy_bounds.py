"""The bounds of policies on the pages of the portal."""

from policies import quotas
from tests.shared import cases
from tests.web.markup import words_of
from tests.web.portal.policies.test_developer_policies import BLOCKLIST, form_of, make_policy


def test_a_policy_too_many_is_refused_with_the_remedy(as_developer, developer, monkeypatch):
    monkeypatch.setattr(quotas, "MAX_POLICIES", 1)
    off = make_policy(developer)
    as_developer.post(f"/developer/policies/{off.id}/status", {"status": "off"})
    make_policy(developer)
    remedy = "at most 1 enabled policies. Disable or delete another one."
    assert remedy in words_of(
        as_developer.post(f"/developer/policies/{off.id}/status", {"status": "enforced"}, follow=True)
    )
    assert remedy in words_of(as_developer.post("/developer/policies/new", form_of(BLOCKLIST)))
    sent = form_of(BLOCKLIST, version=2)
    assert remedy in words_of(as_developer.post(f"/developer/policies/{off.id}/edit", sent))


@cases("door", ["{id}/status", "{id}/delete", "{id}/history/1/restore", "{id}/edit", "new"], ids=lambda door: door[-6:])
def test_each_way_to_write_one_is_throttled(as_developer, developer, settings, door):
    settings.THROTTLE_POLICIES = "1/hour"
    policy = make_policy(developer)
    assert as_developer.post(f"/developer/policies/{policy.id}/status", {"status": "shadow"}).status_code == 303
    sent = form_of(BLOCKLIST, name="New")
    answer = as_developer.post(f"/developer/policies/{door.format(id=policy.id)}", sent)
    assert "Too many attempts" in words_of(answer)
    (kept,) = developer.organization.policies.all()
    assert (kept.name, kept.version) == (policy.name, 2)
