"""Domain names have one spelling, and public suffixes belong to no organization."""

import pytest

from developers.domain_names import UnusableDomain, canonical_domain, is_public_suffix
from tests.shared import cases


@cases(
    ("text", "domain"),
    [
        ("acme.com", "acme.com"),
        (" ACME.Com. ", "acme.com"),
        ("www.acme.co.uk", "www.acme.co.uk"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("acme。com", "acme.com"),
        ("me.github.io", "me.github.io"),
        ("co.com", "co.com"),
    ],
)
def test_a_domain_has_one_spelling(text: str, domain: str) -> None:
    assert canonical_domain(text) == domain


@cases(
    ("text", "message"),
    [
        ("", "domain alone"),
        ("com", "domain alone"),
        (".com.", "valid host name"),
        ("https://acme.com", "domain alone"),
        ("acme.com/path", "domain alone"),
        ("acme.com:443", "domain alone"),
        ("you@acme.com", "domain alone"),
        ("*.acme.com", "domain alone"),
        ("acme.com\x00", "spaces, control"),
        ("acme..com", "valid host name"),
        ("_dmarc.acme.com", "Must be a domain name"),
        ("-acme.com", "valid host name"),
        ("93.184.215.14", "Must be a domain name"),
        ("127.1", "IPv4"),
        (f"{'a' * 64}.com", "valid host name"),
        (".".join(["a" * 60] * 4) + ".com", "Must be a domain name"),
        ("xn--a.com", "IDNA"),
        ("acme.local", r"Names in \.local"),
        ("acme.example", r"Names in \.example"),
        ("1.0.10.in-addr.arpa", r"Names in \.arpa"),
        ("co.uk", r"Anyone can get a name in co\.uk"),
        ("COM.au", r"Anyone can get a name in com\.au"),
        ("github.io", r"Anyone can get a name in github\.io"),
    ],
)
def test_what_no_organization_can_prove_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnusableDomain, match=message):
        canonical_domain(text)


def test_a_top_level_domain_is_a_public_suffix() -> None:
    assert is_public_suffix("com")
    assert not is_public_suffix("acme.com")
