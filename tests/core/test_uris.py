"""Audience identifiers have one canonical form. Different addresses have different forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.uris import UnusableUri, canonical_uri, host_of
from tests.shared import cases

SPELLINGS = {
    "https://api.example.com": [
        "https://api.example.com",
        "https://api.example.com/",
        "HTTPS://api.example.com",
        "https://API.Example.COM/",
        "https://api.example.com.",
        "https://api.example.com./",
        "https://api.example.com:443",
        "https://api.example.com:0443/",
        "https://api.example.com:",
        "https://api.example.com?",
        "https://api.example.com/./",
        "https://api.example.com/a/..",
        "https://api.example.com/%2e",
        "https://\uff41\uff50\uff49.example.com",
        "https://api\u3002example\uff0ecom",
    ],
    "http://localhost": ["http://LOCALHOST.:80/", "http://localhost:80", "http://localhost:"],
    "http://localhost:443": ["http://localhost:443/", "HTTP://Localhost.:443"],
    "https://localhost:80": ["https://localhost:80/"],
    "http://127.0.0.1:9000/mcp": ["http://127.0.0.1:9000/mcp", "http://127.0.0.1:09000/./mcp"],
    "https://[2001:db8::1]": [
        "https://[2001:DB8::1]/",
        "https://[2001:db8:0:0:0:0:0:1]:443",
        "https://[2001:0db8::0001]",
    ],
    "http://1.2.3.4:8080": [
        "http://[::ffff:1.2.3.4]:8080",
        "http://[::FFFF:102:304]:8080/",
        "http://[0:0:0:0:0:ffff:0102:0304]:8080",
    ],
    "https://[::102:304]": ["https://[::1.2.3.4]"],
    "https://[64:ff9b::102:304]": ["https://[64:ff9b::1.2.3.4]"],
    "https://[::1]:8443/x": ["https://[0:0:0:0:0:0:0:1]:8443/x"],
    "https://xn--bcher-kva.example": [
        "https://b\u00fccher.example",
        "https://B\u00dcCHER.example.",
        "https://bu\u0308cher.example",
        "https://XN--Bcher-KVA.example",
    ],
    "https://api.example.com/v1/mcp": [
        "https://api.example.com/v1/mcp",
        "https://api.example.com/v1/./mcp",
        "https://api.example.com/v1/x/../mcp",
        "https://api.example.com/../v1/mcp",
        "https://api.example.com/%76%31/mcp",
        "https://api.example.com/v1/%6D%63%70?",
    ],
    "https://api.example.com/v1/": ["https://api.example.com/v1/mcp/..", "https://api.example.com/v1/."],
    "https://api.example.com//": ["https://api.example.com//", "https://api.example.com/.//"],
    "https://api.example.com/a%2Fb": ["https://api.example.com/a%2fb"],
    "https://api.example.com/caf%C3%A9": ["https://api.example.com/caf\u00e9", "https://api.example.com/caf%c3%a9"],
    "https://api.example.com?q=%7Bx%7D": ["https://api.example.com/?q={x}", "https://api.example.com?q=%7bx%7d"],
    "https://my_host.internal/~me": ["https://MY_HOST.internal/%7Eme"],
}
DIFFERENT = [
    "https://api.example.com",
    "http://api.example.com",
    "https://api.example.com:8443",
    "https://api.example.com/v1",
    "https://api.example.com/v1/",
    "https://api.example.com/V1",
    "https://api.example.com/v1//",
    "https://api.example.com/a%2Fb",
    "https://api.example.com/a/b",
    "https://api.example.com?q=1",
    "https://api.example.com/?q=2",
    "https://www.api.example.com",
]
UNUSABLE = [
    "",
    "api.example.com",
    "//api.example.com",
    "inbox/7",
    "urn:example:api",
    "ftp://api.example.com",
    "https:api.example.com",
    "https:///path",
    "https://",
    "https://.",
    "https://..",
    "https://api.example.com..",
    "https://api..example.com",
    "https://api.example.com#part",
    "https://api.example.com#",
    "https://ada@api.example.com",
    "https://@api.example.com",
    "https://ada:secret@api.example.com",
    "https://api.example.com:port",
    "https://api.example.com:65536",
    "https://api.example.com:0",
    "https://api.example.com:\u0664\u0664\u0663",
    "https://api.example.com:443:443",
    "https://[2001:db8::1",
    "https://[2001:db8::zz]",
    "https://[fe80::1%25eth0]",
    "https://[v1.x]",
    "https://2001:db8::1",
    "https://127.1",
    "https://2130706433",
    "https://0x7f000001",
    "https://0177.0.0.1",
    "https://256.1.1.1",
    "https://\uff11\uff12\uff17.1",
    "https://%61pi.example.com",
    "https://api.example.com/%",
    "https://api.example.com/%zz",
    "https://api.example.com/?q=%4",
    "https://api.example.com\\v1",
    "https://api.example.com/a b",
    "https://api.example.com/a\tb",
    "https://api.example.com/\x00",
    "https://api.example.com/\x7f",
    " https://api.example.com",
    "https://api.example.com\n",
    "https://api.example.com/\ud800",
    "https://xn--.example",
    "https://xn--a-ecp.ru\u2044path",
    "https://api\u200b.example.com/\ud800",
    "https://" + "a" * 64 + ".example",
    "https://" + "a." * 200 + "example",
    "https://api.example.com/" + "a" * 3000,
]


@cases(("canonical", "spelling"), [(canonical, each) for canonical, all_ in SPELLINGS.items() for each in all_])
def test_all_spellings_have_the_same_canonical_form(canonical: str, spelling: str) -> None:
    assert canonical_uri(spelling) == canonical
    assert canonical_uri(canonical) == canonical


def test_different_addresses_have_different_forms() -> None:
    assert len({canonical_uri(each) for each in DIFFERENT}) == len(DIFFERENT)


@cases("text", UNUSABLE)
def test_an_unusable_uri_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(UnusableUri) as caught:
        canonical_uri(text)
    assert str(caught.value).startswith("Must ")


LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(lambda label: label[2:4] != "--")
HOSTS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
SEGMENTS = st.lists(st.text("abcXYZ019-._~é/", max_size=5), max_size=4)


@st.composite
def two_spellings(draw: st.DrawFn) -> tuple[str, str]:
    """Return two spellings of one address."""
    scheme, default = draw(st.sampled_from([("https", 443), ("http", 80)]))
    host, segments = draw(HOSTS), draw(SEGMENTS)
    path = "/".join(["", *segments])

    def spell() -> str:
        name = "".join(letter.upper() if draw(st.booleans()) else letter for letter in host)
        port = draw(st.sampled_from(["", ":", f":{default}", f":0{default}"]))
        dot = draw(st.sampled_from(["", "."]))
        way = draw(st.sampled_from(["", "/.", "/x/.."])) if path else draw(st.sampled_from(["", "/", "/./"]))
        encoded = "".join(
            f"%{ord(letter):02x}" if letter.isascii() and letter.isalnum() and draw(st.booleans()) else letter
            for letter in path
        )
        case = str.upper if draw(st.booleans()) else str.lower
        return f"{case(scheme)}://{name}{dot}{port}{way}{encoded}"

    return spell(), spell()


@given(two_spellings())
def test_two_spellings_of_an_address_are_equal(spellings: tuple[str, str]) -> None:
    first, second = spellings
    assert canonical_uri(first) == canonical_uri(second)


@given(st.one_of(st.text(), st.text().map("https://a.example/{}".format), st.text().map("https://{}".format)))
def test_the_canonical_form_is_idempotent_and_printable_ascii(text: str) -> None:
    try:
        canonical = canonical_uri(text)
    except UnusableUri:
        return
    assert canonical_uri(canonical) == canonical
    assert all("!" <= letter <= "~" for letter in canonical)


@cases(
    ("uri", "host"),
    [
        ("https://api.example.com", "api.example.com"),
        ("https://api.example.com:8443/a/b?c=/d", "api.example.com:8443"),
        ("https://api.example.com?a=https://other.example", "api.example.com"),
        ("http://[2001:db8::1]:8080/mcp", "[2001:db8::1]:8080"),
    ],
)
def test_the_host_of_a_canonical_uri_includes_its_port(uri, host):
    assert host_of(canonical_uri(uri)) == host
