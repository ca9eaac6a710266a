"""An organization's own stop, and its deletion: who lifts what, and what is left after the days of grace."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
import time_machine

from accounts.errors import ReauthenticationRequired
from accounts.models import Notice
from agents.models import Agent, ClientSecret
from agents.selectors import agent_ids_of
from agents.tasks import delete_agents
from audit.proof.stops import organization_level, prove_stop
from consent.models import Consent
from core import clock
from core.actor import SYSTEM, Actor
from core.errors import NotAuthenticated
from core.rotation import live
from decisions.requests import Reason, VerifyRequest
from decisions.services import decide
from developers.acting import as_developer, as_developer_in_session
from developers.domains import DomainTaken, check_domain, claim_domain
from developers.errors import OrganizationDeleting, OrganizationSuspended
from developers.impact import impact_on_agents, impact_on_organization
from developers.models import ApiKey, Developer, DomainClaim, Invitation, Organization
from developers.profiles import update_organization
from developers.proofs import Found
from developers.roles import Role, RoleInsufficient
from developers.services import reactivate_organization, suspend_organization
from developers.stopping import (
    GRACE,
    delete_organization,
    finish_deletion,
    restore_organization,
    resume_organization,
    stop_organization,
)
from developers.tasks import delete_organizations
from resources.custom_scopes import ScopeDefinition
from resources.errors import IdentifierTaken, ScopePrefixTaken
from resources.models import ResourceServerSecret
from tests.constants import NOON
from tests.log import log_entries
from tests.shared import cases
from tests.threads import race
from tests.world import (
    ANONYMOUS,
    Grant,
    as_owner,
    make_developer,
    make_grant,
    make_resource_server,
    make_user,
    mean_for,
)
from tokens.models import AccessToken

pytestmark = pytest.mark.django_db

IDENTIFIER = "https://mail.example/api"
OWN_SCOPE = ScopeDefinition("acme:read", "low", "Read", "Read it.", "Write it.")


@pytest.fixture
def now() -> Iterator[datetime]:
    with time_machine.travel(NOON, tick=False):
        yield NOON


@pytest.fixture
def grant() -> Grant:
    return make_grant()


@pytest.fixture
def organization(grant: Grant) -> Organization:
    assert grant.agent.organization is not None
    return grant.agent.organization


def join(organization: Organization, role: Role) -> Developer:
    user = make_user(f"{role}@example.com")
    return Developer.objects.create(user=user, organization=organization, role=role)


def stop(organization: Organization, actor: Actor | None = None) -> bool:
    return stop_organization(actor=actor or as_owner(organization), organization=organization, reason="A key leaked.")


def resume(organization: Organization) -> bool:
    return resume_organization(actor=as_owner(organization), organization=organization)


def delete(organization: Organization, actor: Actor | None = None) -> datetime:
    return delete_organization(actor=actor or as_owner(organization), organization=organization)


def restore(organization: Organization) -> bool:
    return restore_organization(actor=as_owner(organization), organization=organization)


def reason_for(grant: Grant, **asked: str) -> Reason | None:
    request = VerifyRequest(token=grant.access_token, required_scopes=("email:read",), actor=ANONYMOUS, **asked)  # type: ignore[arg-type]
    return decide([request])[0].reason


def rename(organization: Organization) -> bool:
    return update_organization(actor=as_owner(organization), organization=organization, name="Other")


def test_a_stop_holds_until_it_is_lifted_and_the_log_proves_it(grant: Grant, organization: Organization) -> None:
    assert reason_for(grant) is None
    assert [stop(organization), stop(organization)] == [True, False]
    assert reason_for(grant) is Reason.ORGANIZATION_STOPPED

    proof = prove_stop(organization_level(organization.id, [grant.agent.id]))
    assert proof is not None
    assert (proof.event, proof.reason, proof.allowed_after) == ("organization.stopped", "A key leaked.", 0)

    assert [resume(organization), resume(organization)] == [True, False]
    assert reason_for(grant) is None
    assert log_entries(event__in=["organization.stopped", "organization.resumed"]).count() == 2


def test_the_services_of_an_organization_that_stopped_its_agents_go_on(organization: Organization) -> None:
    """The proof counts what its agents were allowed, not what its services were."""
    server = make_resource_server(Developer.objects.get(), IDENTIFIER).server
    other = make_grant(email="bob@example.com", developer="eve@example.com")
    mean_for(AccessToken.objects.filter(application=other.agent), server)
    stop(organization)
    assert reason_for(other, resource=IDENTIFIER) is None

    ids = agent_ids_of(organization.id)
    proof = prove_stop(organization_level(organization.id, ids))
    assert proof is not None
    assert (proof.event, proof.allowed_after) == ("organization.stopped", 0)
    assert impact_on_agents(organization.id, ids, clock.now()).allowed_last_day == 0
    assert impact_on_organization(organization.id, clock.now()).allowed_last_day == 1
    without = prove_stop(organization_level(organization.id, []))
    assert without is not None
    assert without.allowed_after == 0

    delete(organization)
    assert reason_for(other, resource=IDENTIFIER) is Reason.SERVICE_SUSPENDED


def test_a_session_needs_a_recent_sign_in_to_delete(organization: Organization) -> None:
    in_session = as_developer_in_session(ANONYMOUS, Developer.objects.get(), clock.now() - timedelta(hours=1))
    with pytest.raises(ReauthenticationRequired):
        delete(organization, in_session)
    delete(organization, in_session._replace(signed_in_at=clock.now()))


def test_nobody_lifts_the_stop_of_another(grant: Grant, organization: Organization) -> None:
    """Each of the three facts is lifted alone, by who set it."""
    stop(organization)
    delete(organization)
    with pytest.raises(OrganizationDeleting):
        resume(organization)
    suspend_organization(actor=SYSTEM, organization=organization, reason="Fraud.")
    for act in (stop, resume, delete, restore):
        with pytest.raises(OrganizationSuspended):
            act(organization)
    assert reason_for(grant) is Reason.ORGANIZATION_SUSPENDED

    reactivate_organization(actor=SYSTEM, organization=organization, reason="Cleared.")
    assert reason_for(grant) is Reason.ORGANIZATION_STOPPED
    assert [restore(organization), restore(organization)] == [True, False]
    assert reason_for(grant) is Reason.ORGANIZATION_STOPPED
    resume(organization)
    assert reason_for(grant) is None


@cases(
    ("act", "least"),
    [(stop, Role.ADMIN), (resume, Role.ADMIN), (delete, Role.OWNER), (restore, Role.OWNER)],
)
def test_only_some_roles_may(act: Callable[[Organization], object], least: Role) -> None:
    organization = make_developer("dev@example.com").organization
    for role in Role:
        Developer.objects.update(role=role)
        if list(Role).index(role) > list(Role).index(least):
            with pytest.raises(RoleInsufficient):
                act(organization)
        else:
            act(organization)
            Organization.objects.update(deletes_at=None)


def test_owners_and_admins_are_mailed(organization: Organization) -> None:
    for role in (Role.ADMIN, Role.DEVELOPER, Role.AUDITOR):
        join(organization, role)
    stop(organization)
    delete(organization)
    restore(organization)
    notices = Notice.objects.filter(name__startswith="organization_").order_by("pk")
    told = [(notice.name, notice.user.email, notice.facts["by"]) for notice in notices]
    names = ("organization_stopped", "organization_deleting", "organization_restored")
    addresses = ("dev@example.com", "admin@example.com")
    assert told == [(name, address, "dev@example.com") for name in names for address in addresses]


def test_in_the_days_of_grace_only_a_restoration_changes_something(
    now: datetime, grant: Grant, organization: Organization
) -> None:
    server = make_resource_server(Developer.objects.get(), IDENTIFIER).server
    assert delete(organization) == now + GRACE
    for act in (stop, resume, rename, delete):
        with pytest.raises(OrganizationDeleting, match=r"It will be deleted on 2027-\d\d-\d\d at \d\d:\d\d UTC"):
            act(organization)
    assert reason_for(grant) is Reason.ORGANIZATION_STOPPED
    assert reason_for(grant, resource=server.identifier) is Reason.SERVICE_SUSPENDED
    assert not finish_deletion(organization.id)
    assert delete_organizations() == 0

    restore(organization)
    assert rename(organization)
    assert reason_for(grant) is None


def test_what_a_deletion_ends_and_what_stays_reserved(
    now: datetime, grant: Grant, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("developers.domains.find_proof", lambda name, token: Found(DomainClaim.Method.DNS, "", ""))
    owner = Developer.objects.get()
    claim = claim_domain(actor=as_owner(organization), organization=organization, domain="mail.dev")
    check_domain(actor=as_owner(organization), claim=claim)
    make_resource_server(owner, IDENTIFIER, OWN_SCOPE)
    ApiKey.objects.create(organization=organization, role=Role.DEVELOPER, digest="d" * 64, created_at=now)
    Invitation.objects.create(
        organization=organization, email="bob@example.com", role=Role.ADMIN, created_at=now, expires_at=now + 2 * GRACE
    )
    actor = as_owner(organization)
    delete(organization)

    with time_machine.travel(now + GRACE, tick=False):
        assert [delete_organizations(), delete_organizations()] == [1, 0]
        assert [delete_agents(), delete_agents()] == [1, 0]

        organization.refresh_from_db()
        assert organization.deleted_at == now + GRACE
        assert not Developer.objects.filter(ended_at=None).exists()
        assert not ApiKey.objects.filter(live(clock.now())).exists()
        assert not ClientSecret.objects.filter(live(clock.now())).exists()
        assert not ResourceServerSecret.objects.filter(live(clock.now())).exists()
        assert Invitation.objects.get().status == Invitation.Status.REVOKED
        assert not Agent.objects.filter(deleted_at=None).exists()
        assert Consent.objects.get().status == Consent.Status.REVOKED
        entry = log_entries().get(event="organization.deleted")
        assert entry.content["metadata"] == {"members": 1, "apiKeys": 2, "invitations": 1}
        with pytest.raises(NotAuthenticated):
            restore_organization(actor=actor, organization=organization)

        rival = make_developer("eve@example.com", "Eve")
        with pytest.raises(IdentifierTaken):
            make_resource_server(rival, IDENTIFIER)
        with pytest.raises(ScopePrefixTaken):
            make_resource_server(rival, "https://eve.example", OWN_SCOPE)
        theirs = claim_domain(actor=as_developer(ANONYMOUS, rival), organization=rival.organization, domain="mail.dev")
        with pytest.raises(DomainTaken):
            check_domain(actor=as_developer(ANONYMOUS, rival), claim=theirs)
    assert DomainClaim.objects.get(pk=claim.pk).due_at is None


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_a_deletion_and_its_undoing_at_once_one_happens(grant: Grant, organization: Organization) -> None:
    """The last moment to restore it is when the sweep begins."""
    for _ in range(3):
        race([lambda: delete(organization), lambda: restore(organization)] * 2)
        organization.refresh_from_db()
        newest = log_entries(event__in=["organization.deletion_started", "organization.restored"]).latest("leaf_index")
        assert (newest.event == "organization.deletion_started") == organization.is_stopped
        assert (reason_for(grant) is None) == (not organization.is_stopped)
        restore(organization)

    delete(organization)
    Organization.objects.update(deletes_at=clock.now() - timedelta(seconds=1))
    actor = as_owner(organization)
    restored, ended = race(
        [
            lambda: restore_organization(actor=actor, organization=organization),
            lambda: finish_deletion(organization.id),
        ]
    )
    organization.refresh_from_db()
    assert ended == (organization.deleted_at is not None) == isinstance(restored, NotAuthenticated)
    assert (reason_for(grant) is None) == (restored is True)
