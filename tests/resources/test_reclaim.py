"""Which credentials the owner's password reset ends when it verifies the address for the first time."""

import pytest

from developers.models import ApiKey, Developer
from resources.models import ResourceServerSecret
from tests.log import log_entries
from tests.world import make_developer, make_resource_server, make_user, reclaim

pytestmark = pytest.mark.django_db


def test_the_only_developer_loses_the_api_keys_and_the_secrets_of_resource_servers(developer: Developer) -> None:
    rival = make_developer("rival@example.com", "Rival")
    make_resource_server(developer, "https://mail.example")
    theirs = make_resource_server(rival, "https://other.example").server
    reclaim(developer.user)
    assert list(ApiKey.objects.filter(expires_at=None)) == list(rival.api_keys.all())
    assert list(ResourceServerSecret.objects.filter(expires_at=None)) == list(theirs.secrets.all())
    entry = log_entries().get(event="api_key.revoked")
    assert entry.organization_ids == [developer.organization_id]
    assert entry.content["metadata"]["resourceServerSecrets"] == 1


def test_resource_servers_of_an_organization_with_other_developers_keep_their_secrets(developer: Developer) -> None:
    server = make_resource_server(developer, "https://mail.example").server
    Developer.objects.create(user=make_user("bob@example.com"), organization=developer.organization)
    reclaim(developer.user)
    assert developer.api_keys.get().expires_at is not None
    assert server.secrets.get().expires_at is None


def test_a_user_who_is_not_a_developer_loses_no_credentials(developer: Developer) -> None:
    reclaim(make_user("ada@example.com"))
    assert developer.api_keys.get().expires_at is None
    assert not log_entries(event="api_key.revoked").exists()
