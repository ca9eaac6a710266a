"""Settings: stop all agents, delete the organization, and undo both."""

from developers.models import Organization
from developers.roles import Role
from tests.web.markup import markup_of
from tests.world import make_member, sign_in, sign_in_recently

PATH = "/developer/settings"


def test_a_stop_is_previewed_needs_a_reason_and_is_proved_until_it_is_lifted(as_developer, agent, developer):
    page = markup_of(as_developer.get(f"{PATH}/stop"))
    assert "1 agent stops." in page, "also without users"
    assert as_developer.post(f"{PATH}/stop", {"reason": " "}).status_code == 422
    assert as_developer.post(f"{PATH}/stop", {"reason": "A key has leaked."}).status_code == 303
    page = markup_of(as_developer.get(f"{PATH}/stop"))
    for text in ("All agents are stopped", "A key has leaked.", "Requests allowed since the stop", "<dd>0</dd>"):
        assert text in page
    assert "A member stopped all agents of this organization" in markup_of(as_developer.get("/developer/agents"))
    assert as_developer.post(f"{PATH}/resume").status_code == 303
    assert not Organization.objects.get(pk=developer.organization_id).is_stopped
    assert "Stop all agents?" in markup_of(as_developer.get(f"{PATH}/stop"))


def test_members_who_only_read_see_the_proof_of_a_stop_without_buttons(as_developer, developer):
    auditor = sign_in_recently(make_member(developer, "bob@example.com", Role.AUDITOR).user)
    as_developer.post(f"{PATH}/stop", {"reason": "A key has leaked."})
    page = markup_of(auditor.get(f"{PATH}/stop"))
    assert "Requests allowed since the stop" in page
    assert "<form" not in page.partition("<main")[2].partition("</main>")[0]
    assert ">See the evidence</a>" in markup_of(auditor.get("/developer/agents"))
    as_developer.post(f"{PATH}/resume")
    page = markup_of(auditor.get(f"{PATH}/stop"))
    assert "Stop all agents?" in page
    assert "<form" not in page.partition("<main")[2].partition("</main>")[0]


def test_a_deletion_needs_the_name_and_can_be_undone(as_developer, agent, developer):
    page = markup_of(as_developer.get(f"{PATH}/delete"))
    assert "1 agent, with all its requests." in page
    answer = as_developer.post(f"{PATH}/delete", {"name": "Acme"})
    assert answer.status_code == 422
    assert "This is not its name." in markup_of(answer)
    assert as_developer.post(f"{PATH}/delete", {"name": "Acme Robotics"}).status_code == 303
    page = markup_of(as_developer.get(PATH))
    assert "This organization will be deleted on" in page
    for absent in ("Save", "Stop all agents", "Delete organization"):
        assert absent not in page
    admin = make_member(developer, "eve@example.com", Role.ADMIN)
    assert "Ask an owner to restore it." in markup_of(sign_in(admin.user).get(as_developer.at(PATH)))
    as_developer.post(f"{PATH}/restore")
    assert Organization.objects.get(pk=developer.organization_id).deletes_at is None
    assert "will be deleted" not in markup_of(as_developer.get(PATH))
