"""The addresses that a developer gives for an agent."""

from core.links import problem_with_link
from tests.shared import cases


@cases("url", ["https://acme.com", "https://www.acme.co.uk/privacy?lang=en#top", "https://acme.com:443/a%20b"])
def test_takes_public_https_pages(url: str) -> None:
    assert problem_with_link(url) is None


@cases(
    "url",
    [
        "http://acme.com",
        "javascript:alert(1)",
        "//acme.com",
        "acme.com",
        "https://",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "https://intranet/",
        "https://acme.com:8443/",
        "https://acme.com:99999/",
        "https://user@acme.com/",
        "https://acme.com\\@evil.example/",
        "https://acme.com/ x",
        "https://аcme.com/",  # noqa: RUF001  the first letter is Cyrillic
        "https://acme.com/" + "x" * 500,
    ],
)
def test_refuses_everything_else(url: str) -> None:
    assert problem_with_link(url)
