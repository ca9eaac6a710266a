import pytest

from agents.services import update_agent
from core.actor import SYSTEM
from core.errors import Invalid
from core.names import check_name
from developers.profiles import update_organization
from developers.services import find_registrant
from oauth.client_metadata import parse_client_metadata
from oauth.errors import OAuthError
from tests.shared import cases
from tests.world import ANONYMOUS, make_agent, make_developer

FORGED = "Google (google.com ✓ verified domain)"


@cases("name", [FORGED, "Acme ✔\ufe0f", "☑ Acme", "✅", "🗸", "√"])
def test_a_check_mark_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_name(name)
    assert caught.value.errors[0].field == "name"


def test_other_symbols_are_kept() -> None:
    check_name("Acme & Søn ™ 東京 (2)")


def test_no_agent_and_no_organization_can_have_one(db) -> None:
    developer = make_developer("dev@example.com")
    with pytest.raises(Invalid, match="check mark"):
        make_agent(developer, name=FORGED)
    with pytest.raises(Invalid, match="check mark"):
        update_agent(actor=SYSTEM, agent=make_agent(developer), changes={"name": FORGED})
    with pytest.raises(Invalid, match="check mark"):
        make_developer("other@example.com", FORGED)
    with pytest.raises(Invalid, match="check mark"):
        find_registrant(actor=ANONYMOUS, name=FORGED, email="new@example.com", password="x" * 20)
    changes = {"name": FORGED, "terms_url": "", "contact_email": ""}
    with pytest.raises(Invalid, match="check mark"):
        update_organization(actor=SYSTEM, organization=developer.organization, **changes)
    with pytest.raises(OAuthError, match="check mark"):
        parse_client_metadata({"client_name": FORGED, "redirect_uris": ["https://x.example/cb"]}, ["none"], "none")
