"""Each email in plain text and in HTML: within the limits of mail programs, and without links that others chose."""

import re
from html.parser import HTMLParser
from itertools import product
from typing import Any

import pytest
from django.conf import settings
from django.core import mail as outbox
from django.utils.translation import override

from accounts.mail_text import Foreign, Words
from accounts.mails import english_mails, mails
from tests.clean_environment import ROOT
from tests.mail_samples import EVIL, WITHOUT_BUTTON, compose, html_of, make_samples

pytestmark = pytest.mark.django_db
# Gmail hides what follows.
MAX_BYTES = 102_000
MAX_WIDTH = 600
# What mail programs make links of: web addresses with a scheme or "www.", mail addresses, and names with a dot.
LINKED = re.compile(r"\w+://\S+|www\.\S+|[^\s@]+@[^\s@]+\.\w{2,}|\b[\w-]+\.[a-zA-Z]{2,}\b", re.ASCII)
NO_SIDE = re.compile(r"\balign=\"(left|right)|text-align:|float:|(margin|padding|border)-(left|right)|\b(left|right):")
VOID = {"meta", "br"}


class Parts(HTMLParser):
    """What a mail program reads in the HTML: elements, attributes, links and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.buttons = 0
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        named = dict(attrs)
        if tag == "a":
            self.links.append(named["href"] or "")
            self.buttons += named.get("class") == "on-accent"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & {*self.open}:
            self.text += f" {data}"


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w.-]*\w", text.replace("\u2060", "")))


def our_links(text: str) -> str:
    return re.sub(r"http://localhost:8000\S*", "", text)


def test_each_email_is_within_the_limits_of_mail_programs_in_each_language() -> None:
    samples, languages = make_samples(), dict(settings.LANGUAGES)
    assert {name for name, _ in samples.values()} == mails.keys()
    for (key, sample), chosen in product(samples.items(), languages):
        message = compose(sample, language=chosen)
        language = "en" if sample[0] in english_mails else chosen
        direction = "rtl" if language == "ar" else "ltr"
        html = html_of(message)
        parts = Parts(html)
        assert len(html.encode()) < MAX_BYTES, key
        assert len(message.body.encode()) < MAX_BYTES, key
        assert not parts.tags & {"img", "svg", "link", "script", "form", "video", "object"}, key
        assert not NO_SIDE.search(html), key
        assert "url(" not in html, key
        assert f'<html lang="{language}" dir="{direction}">' in html, key
        assert {value for name, value in parts.attributes if name == "dir"} <= {direction, "ltr"}, key
        assert max(map(int, re.findall(r'width(?:="|:)(\d+)(?:"|px)', html))) <= MAX_WIDTH, key
        assert ("name", "color-scheme") in parts.attributes, key
        assert parts.buttons == (key not in WITHOUT_BUTTON), key
        assert all(url.startswith(f"{settings.API_URL}/") or url == settings.API_URL for url in parts.links), key


def test_both_forms_have_the_same_words_links_and_one_time_zone() -> None:
    for key, sample in make_samples().items():
        message = compose(sample)
        parts, text = Parts(html_of(message)), message.body
        links = re.findall(r"http://localhost:8000/\S+", text)
        assert {*links, settings.API_URL} == {*parts.links}, key
        shown = message.subject.removeprefix("[AgentGate] ")
        assert words(our_links(text)) - words(parts.text) == set(), key
        assert words(parts.text) - words(f"{text} {shown}") == set(), key
        assert "UTC" not in text, key
        assert ("CES" in text or "CET" in text) == bool(re.search(r"\d:\d\d", text)), key


def test_no_email_links_to_what_others_wrote() -> None:
    assert LINKED.findall(EVIL)
    for key, sample in make_samples(name=EVIL).items():
        message = compose(sample)
        parts = Parts(html_of(message))
        own = re.compile(r"ada@work.example|ada@example.com|203.0.113.9|acme.example|shop.example")
        for text in (our_links(message.body), our_links(parts.text), message.subject):
            assert LINKED.findall(own.sub("", text)) == [], key
        assert "evil.example" not in html_of(message), key
        assert "<b>" not in html_of(message), key


def test_no_header_can_be_added_by_what_others_wrote() -> None:
    for key, sample in make_samples(name=EVIL).items():
        message = compose(sample).message()
        assert [*message.keys()].count("Subject") == 1, key
        assert message["Bcc"] is None, key
        assert "\n" not in str(message["Subject"]), key
        assert str(message["To"]) == "ada@example.com", key


def test_the_parts_are_alternatives_and_the_text_is_first(mailoutbox: list[Any]) -> None:
    compose(make_samples()["new_device"]).send()
    (sent,) = outbox.outbox
    assert [part.get_content_type() for part in sent.message().walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


def test_the_colors_are_those_of_the_product() -> None:
    tokens = "".join((ROOT / f"static/css/{name}.css").read_text() for name in ("tokens", "components"))
    used = re.findall(r"#[0-9a-f]{6}", html_of(compose(make_samples()["access_granted"])))
    assert [color for color in {*used} if color not in tokens] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Acme", "Acme"),
        ("a.b", "a|.|b"),
        ("a@b.c", "a|@|b|.|c"),
        ("http://x.y", "http|:||/||/|x|.|y"),
        ("Inc. & Co", "Inc. & Co"),
        ("x" * 61, "x" * 60),
        ("a\r\nb\u202ec", "a bc"),
    ],
)
def test_names_read_as_written_but_are_no_addresses(name: str, shown: str) -> None:
    assert Foreign(name) == shown.replace("|", "\u2060")


def test_values_are_escaped_and_isolated() -> None:
    text = Words("%(name)s & <%(number)s>", name=Foreign("<i>"), number=5)
    assert text == "<i> & <5>"
    assert text.__html__() == '<span style="font-weight:600;white-space:nowrap">&lt;i&gt;</span> &amp; &lt;5&gt;'
    assert Foreign("\u05d0") == "\u2068\u05d0\u2069"
    with override("ar"):
        assert (Foreign("Bob"), Foreign("")) == ("\u2068Bob\u2069", "")


def test_amounts_and_dates_are_those_of_the_language_and_times_of_the_zone() -> None:
    sample = make_samples()["approval_requested"]
    english, german = (compose(sample, language=language).body.replace("\u202f", " ") for language in ("en", "de"))
    assert "Pay €19.90 to" in english
    assert "Jul 1, 2026, 1:00 PM CEST" in english
    assert "19,90 €" in german.replace("\xa0", " ")
    assert "13:00 MESZ" in german or "13:00 CEST" in german
