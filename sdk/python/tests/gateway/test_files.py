"""`gateway.yaml` and `gateway.lock`: what is refused, and that both are read as they were written."""

from pathlib import Path

import pytest

from agentgate_oauth.gateway import lock
from agentgate_oauth.gateway.catalogue import find_line
from agentgate_oauth.gateway.config import ConfigError, Line, dump, load, parse
from agentgate_oauth.gateway.editing import added
from agentgate_oauth.gateway.lock import Definitions, changes

GOOD = """
version: 1
gate: http://localhost:8000
name: Notes
identifier: http://127.0.0.1:9000/mcp
upstreams:
  files:
    command: [npx, -y, server]
    tools:
      read: {scope: "files:read", risk: standard, context: {target: {arguments: [path], as: path}}}
"""


def test_a_file_is_read_as_it_was_written() -> None:
    gateway = parse(GOOD, "gateway.yaml")
    assert parse(dump(gateway), "again") == gateway
    mapped = gateway.upstreams["files"].tools["read"].context.target
    assert mapped is not None and mapped.kind == "path"


@pytest.mark.parametrize(
    "old, new, named",
    [
        ("version: 1", "version: 2", "version"),
        ("name: Notes", "nom: Notes", "nom"),
        ("risk: standard", "risk: none", "upstreams.files.tools.read.risk"),
        ('"files:read"', "files", "upstreams.files.tools.read.scope"),
        ("command: [npx, -y, server]", "", "command or url"),
        ("command: [npx, -y, server]", "url: https://x.example\n    environment: [A]", "headers"),
        ("command: [npx, -y, server]", "command: [a]\n    root: notes", "absolute"),
        ("command: [npx, -y, server]", "command: [a, ./notes]", "./notes is relative"),
        ("command: [npx, -y, server]", "command: [a, --db=../x]", "--db=../x is relative"),
        ("command: [npx, -y, server]", "command: [a, .]", ". is relative"),
        ("name: Notes", "name: Notes\nname: Other", "twice"),
        ("name: Notes", "name: &a Notes", "not YAML|aliases"),
        ("gate: http", "gate: [", "not YAML"),
        ("name: Notes", "name: 2001-99-99", "not YAML"),
        ("name: Notes", "name: !!bool x", "not YAML"),
        ("name: Notes", "name: !!timestamp x", "not YAML"),
        ("  files:", "  Files:", "upstreams"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, named: str) -> None:
    text = GOOD.replace(old, new) + ("other: *a\n" if "&a" in new else "")
    with pytest.raises(ConfigError, match=named):
        parse(text, "gateway.yaml")


def test_hidden_characters_are_written_as_escapes() -> None:
    text = dump(parse(GOOD.replace("read:", '"get_\\u202ee_日本":'), "gateway.yaml"))
    assert "\\u202E" in text and text.isascii()
    assert "get_\u202ee_日本" in parse(text, "again").upstreams["files"].tools
    assert "日本" in dump(parse(GOOD.replace("Notes", "日本"), "gateway.yaml"))


def test_two_tools_cannot_have_one_name() -> None:
    second = '  more:\n    command: [x]\n    tools: {read: {scope: "files:read", risk: standard}}\n'
    with pytest.raises(ConfigError, match="prefixed"):
        parse(GOOD + second, "gateway.yaml")
    assert len(parse(GOOD + second.replace("[x]", "[x]\n    prefixed: true"), "gateway.yaml").upstreams) == 2


def test_a_missing_file_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gateway init"):
        load(tmp_path / "gateway.yaml")
    with pytest.raises(ConfigError, match="gateway init"):
        lock.load(tmp_path / "gateway.lock")


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    pinned = {"files": Definitions("Be kind.", {"read": {"name": "read", "description": "Read\u200b"}})}
    lock.save(tmp_path / "gateway.lock", pinned)
    assert lock.load(tmp_path / "gateway.lock") == pinned


@pytest.mark.parametrize(
    "content", ["", "{}", '{"version": 2, "upstreams": {}}', '{"version": 1, "upstreams": {"a": 1}}']
)
def test_a_damaged_lock_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "gateway.lock").write_text(content)
    with pytest.raises(ConfigError, match="cannot be used"):
        lock.load(tmp_path / "gateway.lock")


def test_each_difference_is_found_and_shown() -> None:
    tool = {"name": "a", "description": "Read", "inputSchema": {"properties": {}}}
    pinned = Definitions("Old", {"a": tool, "b": tool, "c": tool})
    now = Definitions("New", {"a": tool, "b": {**tool, "description": "Re\u200bad"}, "d": tool})
    found = {(one.kind, one.name): one for one in changes(pinned, now)}
    assert {key: one.what for key, one in found.items()} == {
        ("instructions", "instructions"): "changed",
        ("tools", "b"): "changed",
        ("tools", "c"): "gone",
        ("tools", "d"): "new",
    }
    assert '+  "description": "Re\\u200bad",' in found["tools", "b"].lines()


def test_a_uri_needs_its_own_line_or_the_first_that_matches() -> None:
    low, high = Line(scope="notes:read", risk="low"), Line(scope="notes:secrets", risk="high")
    secret, plain = "note://secret/1", "note://a/1"
    for first in ("note://secret/{id}", "note://secret/*", "note://secret/{+id}", "note://secret/?"):
        lines = {first: high, "note://{+path}": low, "note://**": low}
        assert (find_line(lines, secret), find_line(lines, plain)) == (high, low), first
        assert find_line({"note://**": low, first: high}, secret) == low
        assert find_line({first: high}, plain) is None
    assert find_line({"note://**": low, secret: high}, secret) == high
    assert find_line({"note://secret/{id}": high}, "note://secret/1/2") is None


@pytest.mark.parametrize("line", ['{scope: "a:x", risk: high}', '\n        scope: "a:x"\n        risk: high'])
@pytest.mark.parametrize("end", ["", "    # the end\n    prefixed: true\nscopes: {}\n"])
def test_a_new_resource_is_put_behind_others_because_the_first_match_counts(line: str, end: str) -> None:
    text = f"{GOOD}    resources:\n      # not for all\n      note://secret/*: {line}\n{end}"
    before = parse(text, "gateway.yaml")
    files = before.upstreams["files"]
    lines = {
        **files.resources,
        "note://**": Line(scope="a:y", risk="low"),
        "z": Line(scope="a:y", risk="low"),
    }
    after = before.model_copy(update={"upstreams": {"files": files.model_copy(update={"resources": lines})}})
    edited = added(text, after, before)
    assert edited is not None and "# not for all" in edited
    assert list(parse(edited, "").upstreams["files"].resources) == ["note://secret/*", "note://**", "z"]
