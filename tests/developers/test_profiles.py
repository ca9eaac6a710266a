"""What an organization says about itself: who changes it, and what a new name ends."""

from typing import Any

import pytest

from core.actor import Actor
from core.errors import Invalid, NotAuthenticated, Throttled
from developers.acting import as_developer
from developers.domains import request_review
from developers.models import Developer, DomainClaim, Organization
from developers.profiles import update_organization
from developers.services import suspend_organization, verify_organization
from tests.constants import NOON
from tests.log import log_entries
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS

ADMINISTRATOR = Actor("administrator", "usr_root")
SAID = {"name": "Acme Incorporated", "terms_url": "https://acme.com/terms", "contact_email": "help@acme.com"}

pytestmark = pytest.mark.django_db


def update(developer: Developer, **changes: Any) -> bool:
    actor, organization = as_developer(ANONYMOUS, developer), developer.organization
    said = {"name": organization.name, "terms_url": "", "contact_email": ""} | changes
    return update_organization(actor=actor, organization=organization, **said)


def verify(organization: Organization) -> bool:
    return verify_organization(actor=ADMINISTRATOR, organization=organization, is_verified=True, reason="Papers seen.")


def stored(developer: Developer) -> Organization:
    return Organization.objects.get(pk=developer.organization_id)


def test_all_of_it_is_stored_and_logged_without_the_values(developer: Developer) -> None:
    assert update(developer, **SAID)
    now = stored(developer)
    assert {name: getattr(now, name) for name in SAID} == SAID
    (entry,) = log_entries(event="organization.updated")
    assert entry.content["metadata"] == {"changed": [*SAID], "endsVerification": False}
    assert "acme.com" not in str(entry.content)
    assert not update(developer, **SAID)
    assert len(log_entries(event="organization.updated")) == 1


@cases(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "\u202e\u200b"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"terms_url": "http://acme.com"}, "terms_url"),
        ({"terms_url": "https://acme.com/" + "x" * 500}, "terms_url"),
        ({"terms_url": "https://acme.com/\u202e"}, "terms_url"),
        ({"terms_url": "https://user@acme.com/"}, "terms_url"),
        ({"contact_email": "acme.com"}, "contact_email"),
        ({"contact_email": "h\u0435lp@acme.com"}, "contact_email"),
        ({"contact_email": "help@acme.com\n"}, "contact_email"),
        ({"contact_email": "x" * 60 + "@" + "a." * 120 + "com"}, "contact_email"),
    ],
)
def test_what_users_could_not_trust_to_see_is_refused(developer: Developer, changes: Any, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        update(developer, **changes)
    assert [error.field for error in refusal.value.errors] == [field]


def test_a_new_name_ends_the_verification_and_the_request_for_it(developer: Developer) -> None:
    organization = developer.organization
    DomainClaim.objects.create(
        organization=organization, name="acme.com", token="0", created_at=NOON, proved_at=NOON, due_at=NOON
    )
    request_review(actor=as_developer(ANONYMOUS, developer), organization=organization)
    verify(organization)
    update(developer, contact_email="help@acme.com")
    assert stored(developer).is_verified
    DomainClaim.objects.update(review_asked_at=NOON)
    update(developer, name="Google")
    now = stored(developer)
    assert (now.name, now.is_verified, now.verified_with) == ("Google", False, None)
    assert DomainClaim.objects.get().review_asked_at is None
    newest = log_entries(event="organization.updated").order_by("-id")[0]
    assert newest.content["metadata"]["endsVerification"] is True


def test_an_administrator_verifies_only_the_name_that_they_saw(developer: Developer) -> None:
    seen = stored(developer)
    update(developer, name="Google")
    assert not verify(seen)
    assert not stored(developer).is_verified


@pytest.mark.django_db(transaction=True)
def test_a_verification_beside_a_change_of_the_name_is_not_of_the_new_name(developer: Developer) -> None:
    race([lambda: verify(developer.organization), lambda: update(developer, name="Google")])
    assert (stored(developer).name, stored(developer).is_verified) == ("Google", False)


def test_a_suspended_organization_and_a_changed_account_change_nothing(developer: Developer) -> None:
    actor = as_developer(ANONYMOUS, developer)
    suspend_organization(actor=ADMINISTRATOR, organization=developer.organization, reason="Fraud.")
    with pytest.raises(Exception, match="suspended"):
        update(developer, name="Other")
    developer.user.set_password("something-else-1")
    developer.user.save()
    with pytest.raises(NotAuthenticated):
        update_organization(actor=actor, organization=developer.organization, **SAID)


def test_changes_are_limited(developer: Developer) -> None:
    for number in range(20):
        update(developer, name=f"Acme {number}")
    with pytest.raises(Throttled):
        update(developer, name="Acme")
