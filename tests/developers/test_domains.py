"""Domains of organizations: proved by one at a time, checked again, and lost with notice."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from accounts.models import Notice
from core import clock
from core.actor import SYSTEM
from core.errors import Conflict, Invalid, NotFound, Throttled
from developers import domains
from developers.acting import as_developer
from developers.domains import (
    GRACE,
    DomainTaken,
    check_domain,
    claim_domain,
    decline_review,
    recheck_domain,
    remove_domain,
    request_review,
)
from developers.models import Developer, DomainClaim, Organization
from developers.proofs import Found
from developers.services import verify_organization
from developers.tasks import check_domains
from tests.constants import NOON
from tests.log import log_entries
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS, make_developer

pytestmark = pytest.mark.django_db
IN_DNS = Found("dns")
GONE = Found("", "absent", "absent")
DOWN = Found("", "unreachable", "unreachable")


class Internet:
    """What each token is found by. Tokens that are not known are gone."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.asked: list[str] = []

    def publish(self, claim: DomainClaim, found: Found = IN_DNS) -> None:
        self.found[claim.token] = found

    def __call__(self, domain: str, token: str) -> Found:
        self.asked.append(domain)
        return self.found.get(token, GONE)


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    internet = Internet()
    monkeypatch.setattr(domains, "find_proof", internet)
    return internet


@pytest.fixture
def rival() -> Developer:
    return make_developer("rival@example.com", "Rival")


def claim(developer: Developer, domain: str = "acme.com") -> DomainClaim:
    return claim_domain(actor=as_developer(ANONYMOUS, developer), organization=developer.organization, domain=domain)


def check(developer: Developer, claimed: DomainClaim) -> DomainClaim:
    return check_domain(actor=as_developer(ANONYMOUS, developer), claim=claimed)


def domain_of(developer: Developer) -> str | None:
    return Organization.objects.get(pk=developer.organization_id).domain


def events() -> list[str]:
    return [entry.event for entry in log_entries(event__startswith="domain.").order_by("leaf_index")]


def test_a_domain_is_claimed_and_proved(developer: Developer, internet: Internet) -> None:
    claimed = claim(developer, "ACME.com")
    assert (claimed.name, len(claimed.token), domain_of(developer)) == ("acme.com", 40, None)
    assert check(developer, claimed).dns_problem == "absent"
    assert domain_of(developer) is None
    internet.publish(claimed, Found("file"))
    proved = check(developer, claimed)
    assert (proved.method, proved.dns_problem, domain_of(developer)) == ("file", "", "acme.com")
    check(developer, claimed)
    assert events() == ["domain.claimed", "domain.proved"]


def test_an_organization_has_one_claim(developer: Developer, rival: Developer, internet: Internet) -> None:
    first = claim(developer)
    with pytest.raises(Conflict):
        claim(developer, "other.com")
    assert claim(rival).token != first.token
    with pytest.raises(Invalid, match="Anyone can get a name"):
        claim(make_developer("third@example.com"), "co.uk")


def test_a_domain_that_is_proved_belongs_to_the_first_while_its_proof_stands(
    developer: Developer, rival: Developer, internet: Internet
) -> None:
    mine, theirs = claim(developer), claim(rival)
    internet.publish(mine)
    internet.publish(theirs)
    check(developer, mine)
    with pytest.raises(DomainTaken, match="its record is still there"):
        check(rival, theirs)
    internet.publish(mine, DOWN)
    with pytest.raises(DomainTaken):
        check(rival, theirs)
    internet.publish(mine, GONE)
    check(rival, theirs)
    assert (domain_of(developer), domain_of(rival)) == (None, "acme.com")
    assert events()[-2:] == ["domain.lost", "domain.proved"]


def test_a_claim_that_is_removed_or_made_again_while_it_is_checked_is_not_proved(
    developer: Developer, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, organization = as_developer(ANONYMOUS, developer), developer.organization
    claimed = claim(developer)

    def find_after_removal(domain: str, token: str) -> Found:
        remove_domain(actor=actor, organization=organization)
        claim(developer, "other.com")
        return Found("dns")

    monkeypatch.setattr(domains, "find_proof", find_after_removal)
    with pytest.raises(NotFound):
        check(developer, claimed)
    assert domain_of(developer) is None


def test_a_holder_that_removes_its_domain_while_it_is_checked_leaves_it_to_the_next(
    developer: Developer, rival: Developer, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = claim(developer), claim(rival)
    internet.publish(mine)
    internet.publish(theirs)
    check(developer, mine)

    def find(domain: str, token: str) -> Found:
        if token == mine.token:
            remove_domain(actor=as_developer(ANONYMOUS, developer), organization=developer.organization)
        return internet(domain, token)

    monkeypatch.setattr(domains, "find_proof", find)
    assert check(rival, theirs).method == "dns"
    assert (domain_of(developer), domain_of(rival)) == (None, "acme.com")


def test_removing_gives_the_domain_up(developer: Developer, internet: Internet) -> None:
    actor, organization = as_developer(ANONYMOUS, developer), developer.organization
    claimed = claim(developer)
    internet.publish(claimed)
    check(developer, claimed)
    remove_domain(actor=actor, organization=organization)
    assert domain_of(developer) is None
    with pytest.raises(NotFound):
        remove_domain(actor=actor, organization=organization)
    assert events()[-1] == "domain.removed"


def test_checks_on_request_are_throttled(developer: Developer, internet: Internet) -> None:
    claimed = claim(developer)
    for _ in range(20):
        check(developer, claimed)
    with pytest.raises(Throttled):
        check(developer, claimed)
    assert len(internet.asked) == 20


@pytest.fixture
def proved(developer: Developer, internet: Internet) -> Iterator[tuple[Any, DomainClaim]]:
    """The clock, and the proved domain of the developer."""
    with time_machine.travel(NOON, tick=False) as time:
        claimed = claim(developer)
        internet.publish(claimed)
        yield time, check(developer, claimed)


def test_a_proved_domain_is_checked_every_day(proved: Any, internet: Internet) -> None:
    time, _ = proved
    internet.asked.clear()
    time.shift(timedelta(hours=23))
    assert (check_domains(), internet.asked) == (0, [])
    time.shift(timedelta(hours=1))
    assert (check_domains(), internet.asked) == (1, ["acme.com"])
    assert check_domains() == 0


@cases("missing", [GONE, DOWN])
def test_a_missing_proof_is_lost_after_notice(
    proved: Any, developer: Developer, internet: Internet, missing: Found
) -> None:
    time, claimed = proved
    internet.publish(claimed, missing)
    time.shift(timedelta(days=1))
    check_domains()
    assert domain_of(developer) == "acme.com"
    notice = Notice.objects.get()
    until = (clock.now() + GRACE).isoformat()
    assert (notice.name, notice.user) == ("domain_failing", developer.user)
    assert (notice.facts["domain"], notice.facts["until"]) == ("acme.com", until)
    time.shift(GRACE - timedelta(minutes=1))
    check_domains()
    assert (domain_of(developer), Notice.objects.count()) == ("acme.com", 1)
    time.shift(timedelta(minutes=1))
    check_domains()
    assert domain_of(developer) is None
    assert list(Notice.objects.order_by("pk").values_list("name", flat=True)) == ["domain_failing", "domain_lost"]
    assert events()[-1] == "domain.lost"
    time.shift(timedelta(days=9))
    assert check_domains() == 0


def test_a_proof_that_comes_back_in_time_stays(proved: Any, developer: Developer, internet: Internet) -> None:
    time, claimed = proved
    internet.publish(claimed, GONE)
    time.shift(timedelta(days=1))
    check_domains()
    internet.publish(claimed)
    time.shift(timedelta(hours=1))
    assert check_domains() == 1
    claimed.refresh_from_db()
    assert (claimed.failing_since, domain_of(developer)) == (None, "acme.com")
    time.shift(GRACE)
    assert check_domains() == 1
    assert domain_of(developer) == "acme.com"


def test_a_domain_that_cannot_be_checked_does_not_hold_back_others(
    proved: Any, rival: Developer, internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, _ = proved
    other = claim(rival, "rival.com")
    internet.publish(other)
    check(rival, other)

    def find(domain: str, token: str) -> Found:
        if domain == "acme.com":
            raise ZeroDivisionError
        return Found("dns")

    monkeypatch.setattr(domains, "find_proof", find)
    time.shift(timedelta(days=1))
    assert check_domains() == 1


def test_administrators_decide_about_requests_to_be_verified(
    proved: Any, developer: Developer, internet: Internet
) -> None:
    actor, organization = as_developer(ANONYMOUS, developer), developer.organization
    asking = DomainClaim.objects.exclude(review_asked_at=None)
    request_review(actor=actor, organization=organization)
    request_review(actor=actor, organization=organization)
    assert log_entries(event="organization.review_requested").count() == asking.count() == 1
    assert decline_review(actor=SYSTEM, organization=organization, reason="No imprint.")
    assert not decline_review(actor=SYSTEM, organization=organization, reason="Again.")
    assert log_entries(event="organization.review_declined").get().content["metadata"]["reason"] == "No imprint."
    request_review(actor=actor, organization=organization)
    verify_organization(actor=SYSTEM, organization=organization, is_verified=True, reason="Seen.")
    assert not asking.exists()
    with pytest.raises(Conflict, match="verified already"):
        request_review(actor=actor, organization=organization)


def test_a_request_to_be_verified_needs_a_proved_domain(developer: Developer, internet: Internet) -> None:
    actor, organization = as_developer(ANONYMOUS, developer), developer.organization
    for prepare in (lambda: None, lambda: claim(developer)):
        prepare()
        with pytest.raises(Conflict, match="Prove a domain first"):
            request_review(actor=actor, organization=organization)


def test_a_request_to_be_verified_ends_with_the_domain(proved: Any, developer: Developer, internet: Internet) -> None:
    time, claimed = proved
    request_review(actor=as_developer(ANONYMOUS, developer), organization=developer.organization)
    internet.publish(claimed, GONE)
    for _ in range(2):
        time.shift(GRACE)
        check_domains()
    claimed.refresh_from_db()
    assert (claimed.review_asked_at, claimed.proved_at) == (None, None)


@pytest.mark.django_db(transaction=True)
def test_of_organizations_that_prove_a_domain_at_once_one_has_it(internet: Internet) -> None:
    developers = [make_developer(f"dev{number}@example.com") for number in range(4)]
    claims = [claim(developer) for developer in developers]
    for claimed in claims:
        internet.publish(claimed)
    outcomes = race([partial(check, *each) for each in zip(developers, claims, strict=True)])
    assert sum(isinstance(outcome, DomainTaken) for outcome in outcomes) == 3
    assert [domain_of(developer) for developer in developers].count("acme.com") == 1
    assert events().count("domain.proved") == 1


@pytest.mark.django_db(transaction=True)
def test_checks_and_removals_at_once_do_not_deadlock(developer: Developer, internet: Internet) -> None:
    actor, organization = as_developer(ANONYMOUS, developer), developer.organization
    for _ in range(4):
        claimed = claim(developer)
        internet.publish(claimed)
        check(developer, claimed)
        remove = partial(remove_domain, actor=actor, organization=organization)
        race([partial(recheck_domain, claimed), remove, partial(check, developer, claimed)])
        assert (domain_of(developer), DomainClaim.objects.count()) == (None, 0)


@pytest.mark.django_db(transaction=True)
def test_two_workers_check_a_domain_once(developer: Developer, internet: Internet) -> None:
    claimed = claim(developer)
    internet.publish(claimed)
    check(developer, claimed)
    internet.asked.clear()
    DomainClaim.objects.update(due_at=clock.now())
    assert sorted(race([check_domains, check_domains])) == [0, 1]
    assert internet.asked == ["acme.com"]


def verify(developer: Developer, *, is_verified: bool = True) -> bool:
    organization = developer.organization
    return verify_organization(actor=SYSTEM, organization=organization, is_verified=is_verified, reason="papers seen")


def is_verified(developer: Developer) -> bool:
    return Organization.objects.get(pk=developer.organization_id).is_verified


def prove(developer: Developer, internet: Internet, domain: str = "acme.com") -> DomainClaim:
    claimed = claim(developer, domain)
    internet.publish(claimed)
    return check(developer, claimed)


def give_up(developer: Developer) -> None:
    remove_domain(actor=as_developer(ANONYMOUS, developer), organization=developer.organization)


def test_verified_is_suspended_with_another_domain_than_the_one_reviewed(
    developer: Developer, internet: Internet
) -> None:
    prove(developer, internet)
    verify(developer)
    give_up(developer)
    assert not is_verified(developer)
    prove(developer, internet, "evil.com")
    assert not is_verified(developer)
    request_review(actor=as_developer(ANONYMOUS, developer), organization=developer.organization)
    give_up(developer)
    prove(developer, internet)
    assert is_verified(developer)
    logged = log_entries(event="domain.proved").order_by("leaf_index")
    assert [entry.content["metadata"]["verified"] for entry in logged] == [False, False, True]


def test_verified_is_suspended_when_the_proof_is_lost(proved: Any, developer: Developer, internet: Internet) -> None:
    clock_, claimed = proved
    verify(developer)
    internet.found.clear()
    check_domains()
    clock_.shift(timedelta(days=1))
    check_domains()
    assert is_verified(developer)
    clock_.shift(GRACE)
    check_domains()
    assert not is_verified(developer)
    internet.publish(claimed)
    check(developer, claimed)
    assert is_verified(developer)


def test_verified_without_a_domain_is_not_so_with_one(developer: Developer, internet: Internet) -> None:
    verify(developer)
    claim(developer)
    give_up(developer)
    assert is_verified(developer)
    prove(developer, internet)
    assert not is_verified(developer)
    verify(developer)
    assert is_verified(developer)


def test_an_administrator_can_withdraw_what_is_suspended(developer: Developer, internet: Internet) -> None:
    prove(developer, internet)
    verify(developer)
    give_up(developer)
    assert verify(developer, is_verified=False)
    assert not verify(developer, is_verified=False)
    prove(developer, internet)
    assert not is_verified(developer)
