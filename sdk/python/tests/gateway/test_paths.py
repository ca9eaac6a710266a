"""However an agent spells a path and the upstream reads it, it is one within the root."""

import itertools
import os.path
import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest

from agentgate_oauth.gateway.config import Context, Line, Mapped
from agentgate_oauth.gateway.question import Refused, ask_about_tool, normalize_path, require_plain_uri

ROOTS = ("/home/ada/notes", "/home/ada/notes/", "/srv//r\u00e9sum\u00e9s/./x", "/")
NAMES = ("a", "public", "notes", "notes2", "etc", "home/ada/notes", "home/ada", "passwd", "r\u00e9sum\u00e9s")
STEPS = ("/", "//", "/./", ".", "..", "...", "./..", "../", "/..", ". .", ".. ", " ..", "\u00a0", " ", "\t")
ENCODED = ("%2e%2e", "%2E.", "%252e%252e", "..%2f", "..%5c", "%c0%ae", "%u002e%u002E", "%00", "%", "100%")
WIDE = (
    "\uff0e\uff0e",
    "\u2025",
    "\u2024\u2024",
    "\uff0f",
    "\uff3c",
    "\uff052e",
    "\u2100",
    "\ufe52",
    "\uff5e",
)
SLASHES = ("\\", "\\..\\", "\u2215", "\u2044")
HIDDEN = ("\u200b", "\u202e", "\u00ad", "\ufeff", "\x00", "\x1f", "\n", "\x85", "\ud800")
ELSEWHERE = ("~", "~root", "~ada", "$HOME", "file:", "file:///", "C:", "c:\\")
FORMS = ("e\u0301", "\u00e9", "\u212b", "NOTES", "/HOME/ADA/notes", "x" * 300)
ABSOLUTE = ("/home/ada/notes", "/home/ada/notes2", "/srv/r\u00e9sum\u00e9s/x")
PIECES = (*NAMES, *STEPS, *ENCODED, *WIDE, *SLASHES, *HIDDEN, *ELSEWHERE, *FORMS, *ABSOLUTE)
LINE = Line(scope="notes:read", risk="low")
READINGS: tuple[Callable[[str], str], ...] = (
    unquote,
    lambda path: unquote(path.replace("%u00", "%")),
    lambda path: re.sub("[\\\\\u2215\u2044]", "/", path),
    lambda path: path.split("\x00")[0],
    lambda path: "/".join(segment.strip() for segment in path.split("/")),
    lambda path: "".join(each for each in path if unicodedata.category(each) not in ("Cf", "Cc")),
    *(lambda path, form=form: unicodedata.normalize(form, path) for form in ("NFC", "NFD", "NFKC", "NFKD")),
)


def spellings(seed: int, number: int) -> Iterator[str]:
    """Yield paths made of random pieces. Many of them are absolute."""
    chance = random.Random(seed)
    for _ in range(number):
        start = chance.choice(("", "", "/", "/home/ada/notes/", "./"))
        yield start + chance.choice(("", "/")).join(chance.choices(PIECES, k=chance.randint(1, 5)))


def readings(path: str) -> set[str]:
    """Return what an upstream may take a path for that decodes or cleans it up, twice."""
    found = {path}
    for _ in range(2):
        found |= {reading(one) for one, reading in itertools.product(found, READINGS)}
    return found


def is_within(path: str, root: str) -> bool:
    return PurePosixPath(os.path.normpath(path)).is_relative_to(os.path.normpath(root))


def first_folder(path: str) -> str:
    return unicodedata.normalize("NFKC", os.path.normpath(path)).split("/")[0]


@pytest.mark.parametrize("root", ROOTS)
def test_what_is_forwarded_is_within_the_root_in_every_reading(root: str) -> None:
    context = Context(target=Mapped(arguments=["path"], kind="path"))
    forms = {unicodedata.normalize(form, root) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    accepted = 0
    for path in spellings(1, 3000):
        try:
            asked = ask_about_tool(LINE, context, {"path": path}, "read", None, "00", root)
        except Refused:
            continue
        accepted += 1
        forwarded, target = asked.arguments["path"], asked.question.context["target"]
        assert os.path.normpath(os.path.join(root, target)) == os.path.normpath(forwarded), path
        for reading in readings(forwarded):
            assert any(is_within(reading, form) for form in forms), (path, reading)
        for reading in readings(target):
            assert first_folder(reading) == first_folder(target), (path, reading)
    assert accepted > 200


def test_without_a_root_a_path_begins_with_a_name_in_every_reading() -> None:
    accepted = 0
    for path in spellings(2, 3000):
        try:
            relative = normalize_path(path, None)
        except Refused:
            continue
        accepted += 1
        for reading in readings(relative):
            assert not reading.startswith(("/", "~", "$")), path
            assert is_within(os.path.join("/root", reading), "/root"), path
            assert not urlsplit(reading).scheme, path
    assert accepted > 200


@pytest.mark.parametrize(
    "path", ["./~/x", "//~ada", "./$HOME/x", "file:///etc/passwd", "./file:/etc", "C:x", "%u002e%u002e/x"]
)
def test_without_a_root_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(Refused):
        normalize_path(path, None)


@pytest.mark.parametrize(
    "path", ["./~draft.md", "$5.md", "a:b.md", "100%.md", "Caf\u00e9 in \uff12\uff10\uff12\uff16.md"]
)
def test_below_a_root_such_names_are_plain(path: str) -> None:
    assert normalize_path(path, "/home/ada/notes") == path.removeprefix("./")


def test_a_plain_uri_keeps_its_folder_in_every_reading() -> None:
    accepted = 0
    for path in spellings(3, 3000):
        uri = f"note://public/{path.strip('/')}"
        try:
            require_plain_uri(uri)
        except Refused:
            continue
        accepted += 1
        for reading in readings(uri):
            for end in "?#;":
                assert is_within(reading.split(end)[0].removeprefix("note:/"), "/public"), (uri, reading)
    assert accepted > 200


def test_a_uri_with_another_reading_is_refused() -> None:
    uris = [f"note://a/{end}" for end in ("..?x", "..#", "..;x/b", "%61", "%c3%a9", "b#c", ".", "./b", "/b")]
    for uri in [*uris, "note://%25252e", "x:" + "a" * 9000]:
        with pytest.raises(Refused):
            require_plain_uri(uri)
    for uri in ("note://a/b?c=d/./e//", "note://a/", "file:///a/%C3%A9%20b", "mailto:a"):
        require_plain_uri(uri)
