"""Which redirect URIs are web addresses on the user's own computer."""

from agents.redirects import is_loopback


def test_only_web_addresses_lead_to_a_loopback_host():
    uris = ["http://127.0.0.1:4/cb", "https://localhost/cb", "com.evil.app://localhost/cb", "https://app.example/cb"]
    assert [is_loopback(uri) for uri in uris] == [True, True, False, False]
