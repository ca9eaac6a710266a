"""An identifier stays with its organization after its service is deleted, and a proved domain decides below it."""

from functools import partial
from typing import Any

import pytest

from core import clock
from core.errors import Invalid
from developers.acting import as_developer
from developers.models import Developer, DomainClaim, Organization
from resources import identifiers
from resources.errors import IdentifierInOthersDomain, IdentifierTaken
from resources.identifiers import require_free_identifier
from resources.models import ReservedIdentifier, ResourceServer
from resources.services import delete_resource_server
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS, make_developer, make_resource_server

MAIL = "https://api.mail.acme.com:8443/v1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def rival() -> Developer:
    return make_developer("rival@example.com", "Rival")


def delete(developer: Developer, identifier: str = MAIL) -> None:
    server = ResourceServer.objects.get(identifier=identifier)
    delete_resource_server(actor=as_developer(ANONYMOUS, developer), server=server)


def register(developer: Developer, identifier: str = MAIL) -> Any:
    return make_resource_server(developer, identifier)


def prove(developer: Developer, domain: str, method: str = "dns") -> None:
    now = clock.now()
    fields = {"token": "x", "created_at": now, "proved_at": now, "proved_by": method}
    DomainClaim.objects.create(organization=developer.organization, name=domain, **fields)
    Organization.objects.filter(pk=developer.organization_id).update(domain=domain)


def test_a_deleted_identifier_is_reserved_for_its_organization(developer: Developer, rival: Developer) -> None:
    register(developer)
    delete(developer)
    with pytest.raises(IdentifierTaken, match="already registered"):
        register(rival)
    with pytest.raises(IdentifierTaken):
        require_free_identifier(MAIL, rival.organization_id)
    register(developer)
    assert not ReservedIdentifier.objects.exists()


def test_who_proves_the_domain_gets_a_reserved_identifier(developer: Developer, rival: Developer) -> None:
    register(developer)
    delete(developer)
    prove(rival, "acme.com")
    register(rival)
    assert not ReservedIdentifier.objects.exists()
    delete(rival)
    assert ReservedIdentifier.objects.get().organization_id == rival.organization_id


def test_an_organization_reserves_a_bounded_number(
    developer: Developer, rival: Developer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identifiers, "MAX_RESERVED", 2)
    for number in range(3):
        register(developer, f"https://{number}.example")
        delete(developer, f"https://{number}.example")
    assert [one.pk for one in ReservedIdentifier.objects.order_by("pk")] == ["https://1.example", "https://2.example"]
    register(rival, "https://0.example")


HOLDERS = [
    ("https://acme.com", True),
    ("https://api.acme.com/v1", True),
    ("http://a.b.c.acme.com:8080", True),
    ("https://API.ACME.com.", True),
    ("https://xacme.com", False),
    ("https://acme.com.evil.com", False),
    ("https://com", False),
    ("https://evil.com/acme.com", False),
    ("https://evil.com?.acme.com", False),
]


@cases(("identifier", "is_held"), HOLDERS)
def test_only_the_holder_registers_below_a_domain_proved_by_dns(
    developer: Developer, rival: Developer, identifier: str, is_held: bool
) -> None:
    prove(developer, "acme.com")
    if not is_held:
        register(rival, identifier)
        return
    with pytest.raises(IdentifierInOthersDomain):
        register(rival, identifier)
    register(developer, identifier)


def test_a_file_proves_its_host_only(developer: Developer, rival: Developer) -> None:
    prove(developer, "acme.com", method="file")
    with pytest.raises(IdentifierInOthersDomain):
        register(rival, "https://acme.com:8443/v1")
    register(rival, "https://api.acme.com")


def test_the_nearest_record_counts_and_a_record_counts_more_than_a_file(developer: Developer, rival: Developer) -> None:
    prove(developer, "acme.com")
    prove(rival, "labs.acme.com")
    register(rival, "https://api.labs.acme.com")
    with pytest.raises(IdentifierInOthersDomain):
        register(developer, "https://labs.acme.com")
    DomainClaim.objects.filter(organization=rival.organization).update(proved_by="file")
    with pytest.raises(IdentifierInOthersDomain):
        register(rival, "https://labs.acme.com")


def test_international_names_are_compared_in_ascii(developer: Developer, rival: Developer) -> None:
    prove(developer, "xn--bcher-kva.com")
    with pytest.raises(IdentifierInOthersDomain):
        register(rival, "https://api.Bücher.com")


@cases("host", ["192.0.2.1", "192.0.2.1:8080", "[2001:db8::1]", "[2001:db8::1]:8080"])
def test_an_address_is_in_no_domain(rival: Developer, host: str) -> None:
    assert register(rival, f"https://{host}")


def test_the_refusal_has_a_code_of_its_own(developer: Developer, rival: Developer) -> None:
    prove(developer, "acme.com")
    with pytest.raises(IdentifierInOthersDomain) as refused:
        register(rival)
    assert (refused.value.code, refused.value.status) == ("identifier_in_others_domain", 409)


@pytest.mark.django_db(transaction=True)
def test_a_deletion_beside_a_registration_leaves_the_identifier_with_its_organization(
    developer: Developer, rival: Developer
) -> None:
    for number in range(5):
        identifier = f"https://{number}.example"
        register(developer, identifier)
        outcomes = race([partial(delete, developer, identifier), partial(register, rival, identifier)])
        assert isinstance(outcomes[1], IdentifierTaken)
        assert ReservedIdentifier.objects.filter(pk=identifier).exists()


def test_an_organization_has_a_bounded_number_of_services(
    developer: Developer, rival: Developer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.services.MAX_SERVERS", 1)
    register(developer)
    with pytest.raises(Invalid, match="at most 1 resource servers"):
        register(developer, "https://other.example")
    register(rival, "https://other.example")
