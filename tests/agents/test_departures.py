"""Rotating what a member made when they leave."""

from datetime import timedelta

import pytest

from accounts.errors import ReauthenticationRequired
from agents.client_secrets import MAX_SECRETS, create_client_secret, rotate_client_secret
from agents.deletion import delete_agent
from agents.departures import rotate_secrets_of, secrets_made_by
from agents.models import ClientSecret
from core import clock
from core.rotation import live
from core.secrets import digest
from developers.acting import as_developer, as_developer_in_session
from developers.members import end_membership
from developers.models import Developer
from developers.roles import Role, RoleInsufficient
from resources.models import ResourceServerSecret
from resources.services import register_resource_server
from tests.world import ANONYMOUS, make_agent, make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(developer: Developer) -> Developer:
    return make_member(developer, "bob@example.com", Role.DEVELOPER)


def register_server(developer: Developer, name: str) -> None:
    register_resource_server(
        actor=as_developer(ANONYMOUS, developer),
        organization=developer.organization,
        name=name,
        identifier=f"https://{name}.example",
        scopes=["email:read"],
    )


def live_secrets_made_by(developer: Developer) -> int:
    made = {"made_by": developer}
    works = live(clock.now())
    return sum(rows.objects.filter(works, **made).count() for rows in (ClientSecret, ResourceServerSecret))


def test_all_that_a_past_member_saw_is_rotated_and_the_rest_stays(developer: Developer, member: Developer) -> None:
    actor = as_developer(ANONYMOUS, developer)
    theirs, ours = make_agent(member, name="Theirs"), make_agent(developer, name="Ours")
    create_client_secret(actor=as_developer(ANONYMOUS, member), agent=ours, name="laptop")
    replaced = create_client_secret(actor=as_developer(ANONYMOUS, member), agent=ours, name="ci").row
    rotate_client_secret(actor=actor, agent=ours, overlap_seconds=3600, secret_id=replaced.id)
    register_server(member, "theirs")
    register_server(developer, "ours")
    delete_agent(actor=actor, agent=make_agent(member, name="Gone"))
    end_membership(actor=actor, organization_id=developer.organization_id, member_id=member.id)
    kept = live_secrets_made_by(developer)

    made = secrets_made_by(member)
    assert [(one.agent.name, one.name) for one in made.client_secrets] == [
        ("Ours", "ci"),
        ("Ours", "laptop"),
        ("Theirs", ""),
    ]
    assert [one.resource_server.name for one in made.server_secrets] == ["theirs"]
    assert (len(made), made.is_complete) == (4, True)

    rotated = rotate_secrets_of(actor=actor, member=member)

    assert [(one.owner, one.name) for one in rotated] == [("Ours", "laptop"), ("Theirs", ""), ("theirs", "")]
    new = {digest(one.value) for one in rotated}
    assert new == {
        *ClientSecret.objects.filter(digest__in=new, made_by=developer).values_list("digest", flat=True),
        *ResourceServerSecret.objects.filter(digest__in=new, made_by=developer).values_list("digest", flat=True),
    }
    assert live_secrets_made_by(member) == len(secrets_made_by(member)) == 0
    assert live_secrets_made_by(developer) == kept + 3
    assert theirs.made_by == member


def test_with_an_overlap_they_work_until_its_end(developer: Developer, member: Developer) -> None:
    agent = make_agent(member)
    (rotated,) = rotate_secrets_of(actor=as_developer(ANONYMOUS, developer), member=member, overlap_seconds=60)
    (old,) = secrets_made_by(member).client_secrets
    assert (old.agent, old.expires_at) == (agent, rotated.previous_expires_at)
    assert rotate_secrets_of(actor=as_developer(ANONYMOUS, developer), member=member, overlap_seconds=3600) == []
    old.refresh_from_db()
    assert old.expires_at == rotated.previous_expires_at
    assert old.expires_at < clock.now() + timedelta(seconds=61)


def test_what_cannot_be_rotated_says_why_and_keeps_no_other(developer: Developer, member: Developer) -> None:
    make_agent(member, name="First")
    full, actor = make_agent(developer, name="Full"), as_developer(ANONYMOUS, developer)
    create_client_secret(actor=as_developer(ANONYMOUS, member), agent=full, name="theirs")
    for number in range(MAX_SECRETS - 2):
        create_client_secret(actor=actor, agent=full, name=str(number))

    failed, rotated = rotate_secrets_of(actor=actor, member=member, overlap_seconds=60)

    assert (failed.owner, failed.value) == ("Full", "")
    assert failed.problem.startswith("At most 10 can work at once.")
    assert (rotated.owner, rotated.problem) == ("First", "")


def test_it_requires_a_role_and_a_recent_sign_in(developer: Developer, member: Developer) -> None:
    make_agent(member)
    auditor = make_member(developer, "eve@example.com", Role.AUDITOR)
    with pytest.raises(RoleInsufficient):
        rotate_secrets_of(actor=as_developer(ANONYMOUS, auditor), member=member)
    with pytest.raises(ReauthenticationRequired):
        rotate_secrets_of(actor=as_developer_in_session(ANONYMOUS, developer, None), member=member)
    assert len(secrets_made_by(member)) == 1
