"""A proof of a domain ends the resource servers of others in it, with their tokens, and tells their organizations."""

from functools import partial
from typing import Any

import pytest
from django.core import mail

from accounts.models import Notice
from accounts.notices import send_notices
from core import clock
from developers import domains
from developers.acting import as_developer
from developers.domains import GRACE, check_domain, claim_domain, recheck_domain, remove_domain
from developers.models import Developer, DomainClaim
from developers.proofs import Found
from resources.errors import IdentifierInOthersDomain
from resources.models import ReservedIdentifier, ResourceServer
from resources.services import delete_resource_server
from tests.log import log_entries
from tests.mails import read
from tests.oauth.client import OAuthClient, make_client
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS, make_developer, make_resource_server, make_user
from tokens.models import TokenFamily

API = "https://api.acme.com/v1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def squatter() -> Developer:
    return make_developer("squatter@example.com", "Squatter")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Found]:
    """What the next checks find, the last one from then on."""
    answers = [Found("dns")]
    monkeypatch.setattr(domains, "find_proof", lambda *_: answers.pop(0) if len(answers) > 1 else answers[0])
    return answers


def prove(developer: Developer, domain: str = "acme.com") -> DomainClaim:
    actor = as_developer(ANONYMOUS, developer)
    return check_domain(
        actor=actor, claim=claim_domain(actor=actor, organization=developer.organization, domain=domain)
    )


def identifiers() -> list[str]:
    return list(ResourceServer.objects.order_by("identifier").values_list("identifier", flat=True))


def test_a_record_takes_over_what_is_below_the_domain(
    developer: Developer, squatter: Developer, found: list[Found]
) -> None:
    kept = ["https://acme.com.evil.com", "https://evil.com/acme.com", "https://xacme.com"]
    for identifier in (API, "https://acme.com:8443", *kept):
        make_resource_server(squatter, identifier)
    make_resource_server(developer, "https://own.acme.com")
    prove(developer)
    assert identifiers() == [*kept[:2], "https://own.acme.com", kept[2]]
    make_resource_server(developer, API)


def test_a_file_takes_over_its_host_and_a_later_record_the_rest(
    developer: Developer, squatter: Developer, found: list[Found]
) -> None:
    found[:] = [Found("file"), Found("dns")]
    make_resource_server(squatter, API)
    make_resource_server(squatter, "https://acme.com/v1")
    claim = prove(developer)
    assert identifiers() == [API]
    recheck_domain(claim)
    assert identifiers() == []


def test_what_an_organization_proved_below_stays_with_it(
    developer: Developer, squatter: Developer, found: list[Found]
) -> None:
    prove(squatter, "labs.acme.com")
    make_resource_server(squatter, "https://api.labs.acme.com")
    prove(developer)
    assert identifiers() == ["https://api.labs.acme.com"]


@cases("is_removed", [True, False])
def test_who_loses_a_domain_below_loses_its_services_there(
    developer: Developer, squatter: Developer, found: list[Found], is_removed: bool
) -> None:
    """A domain above it decides then, as if it were proved only now."""
    prove(developer)
    below = prove(squatter, "labs.acme.com")
    client, tokens = with_tokens(squatter, "https://api.labs.acme.com")
    make_resource_server(squatter, "https://labs.acme.org")
    if is_removed:
        remove_domain(actor=as_developer(ANONYMOUS, squatter), organization=squatter.organization)
    else:
        found[:] = [Found("", "absent", "absent")]
        DomainClaim.objects.filter(pk=below.pk).update(failing_since=clock.now() - GRACE)
        recheck_domain(below)
    assert identifiers() == ["https://labs.acme.org"]
    assert client.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_proof_needs_as_many_queries_for_many_services(
    developer: Developer, squatter: Developer, found: list[Found], django_assert_max_num_queries: Any
) -> None:
    """Else a stranger with many services could delay the proof, and all who write meanwhile."""
    for number in range(40):
        make_resource_server(squatter, f"https://{number}.acme.com")
    with django_assert_max_num_queries(45):
        prove(developer)
    assert identifiers() == []


def test_reservations_of_others_end(developer: Developer, squatter: Developer, found: list[Found]) -> None:
    server = make_resource_server(squatter, API).server
    delete_resource_server(actor=as_developer(ANONYMOUS, squatter), server=server)
    prove(developer)
    assert not ReservedIdentifier.objects.exists()


def test_their_tokens_end_and_stay_ended(developer: Developer, squatter: Developer, found: list[Found]) -> None:
    client, tokens = with_tokens(squatter)
    prove(developer)
    assert client.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    remove_domain(actor=as_developer(ANONYMOUS, developer), organization=developer.organization)
    make_resource_server(squatter, API)
    assert client.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert TokenFamily.objects.get().revoked_at is not None


def with_tokens(squatter: Developer, identifier: str = API) -> tuple[OAuthClient, dict[str, str]]:
    make_resource_server(squatter, identifier)
    client = make_client(make_developer("agents@example.com", "Agents"))
    return client, client.tokens(make_user("ada@example.com"), resource=identifier)


def test_the_loss_is_logged_and_mailed(developer: Developer, squatter: Developer, found: list[Found]) -> None:
    for number in range(12):
        make_resource_server(squatter, f"https://{number:02}.acme.com")
    prove(developer)
    entries = list(log_entries(event="resource_server.deleted"))
    assert len(entries) == 12
    assert {one for entry in entries for one in entry.organization_ids} == {squatter.organization_id}
    assert {entry.content["metadata"]["provedDomain"] for entry in entries} == {"acme.com"}
    assert [notice.user for notice in Notice.objects.filter(name="services_lost")] == [squatter.user]
    mail.outbox.clear()
    send_notices()
    (sent,) = [one for one in mail.outbox if "deleted" in one.subject]
    assert sent.to == ["squatter@example.com"]
    assert "https://09.acme.com" in read(sent)
    assert "https://10.acme.com" not in read(sent)
    assert "- and 2 more\n" in sent.body
    assert "Acme" not in sent.body


@pytest.mark.django_db(transaction=True)
def test_a_registration_beside_a_proof_leaves_nothing_of_others_in_the_domain(
    developer: Developer, squatter: Developer, found: list[Found]
) -> None:
    for _ in range(5):
        outcomes = race([partial(prove, developer), partial(make_resource_server, squatter, API)])
        assert isinstance(outcomes[0], DomainClaim)
        assert isinstance(outcomes[1], IdentifierInOthersDomain) or log_entries(event="resource_server.deleted")
        assert identifiers() == []
        remove_domain(actor=as_developer(ANONYMOUS, developer), organization=developer.organization)
