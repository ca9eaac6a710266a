"""What the operator gives about an upstream, and that no secret gets into gateway.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgate_oauth.gateway.config import ConfigError, Secret
from agentgate_oauth.gateway.given import folders_of, prefix_of, root_of, upstream_of

SECRET = "9f86d081884c7d659a2feaa0c55ad015"


@pytest.mark.parametrize(
    "words",
    [
        ["npx", "x", "--token", "abc123"],
        ["npx", "x", "--api-key=abc"],
        ["npx", "x", "--access-token=sbp_12345678"],
        ["npx", "server-postgres", "postgresql://u:pw@h/db"],
        ["env", "GITHUB_TOKEN=ghp_1234567890abcdef", "x"],
        ["x", "ghp_1234567890abcdefAA"],
        ["x", SECRET],
        [f"https://x.example/mcp?api_key={SECRET}"],
        [f"https://x.example/s/{SECRET}/mcp"],
        ["https://ada:pw@x.example/mcp"],
    ],
)
def test_a_secret_is_refused_and_not_repeated(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="seems to contain a secret") as refused:
        upstream_of(words, [], [])
    for secret in ("abc123", "sbp_", "pw@", "ghp_", SECRET):
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "words",
    [
        ["npx", "-y", "@modelcontextprotocol/server-sequential-thinking@2025.12.1"],
        ["docker", "run", f"img@sha256:{SECRET}{SECRET}"],
        ["docker", "run", "-e", "API_TOKEN", "img"],
        ["sh", "-c", 'exec x --token "$API_TOKEN"'],
        ["x", "--token", "$API_TOKEN"],
        ["x", "--token-file", "/run/secrets/token"],
        ["x", "--auth", "oauth", "--port", "8000"],
    ],
)
def test_what_is_no_secret_is_accepted(words: list[str]) -> None:
    assert upstream_of(words, ["API_TOKEN"], []).command == words


@pytest.mark.parametrize(
    "words, variables, headers, said",
    [
        ([], [], [], "Give the upstream"),
        (["x"], ["A=b"], [], "name of a variable"),
        (["x"], [], ["A: $B"], "--header is for a URL"),
        (["https://x.example", "y"], [], [], "stands alone"),
        (["https://x.example"], ["A"], [], "stands alone"),
        (["https://x.example"], [], ["Authorization: Bearer abc"], "single quotes"),
        (["https://x.example"], [], ["Authorization: Bearer $A"], "single quotes"),
        (["https://x.example"], [], ["A b: $A"], "single quotes"),
    ],
)
def test_what_cannot_be_used_is_refused(
    words: list[str], variables: list[str], headers: list[str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        upstream_of(words, variables, headers)


def test_headers_name_variables() -> None:
    upstream = upstream_of(["https://x.example"], [], ["Authorization: $A", "X-Key: ${B}"])
    assert upstream.headers == {"Authorization": Secret(variable="A"), "X-Key": Secret(variable="B")}


def test_the_root_is_the_folder_that_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("notes", "books", "program"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    one = upstream_of(["server", "./notes"], [], [])
    assert one.command == ["server", str(tmp_path / "notes")]
    assert root_of(folders_of(one)) == str(tmp_path / "notes")
    (tmp_path / "server.py").touch()
    assert upstream_of(["python", "server.py", "."], [], []).command == [
        "python",
        str(tmp_path / "server.py"),
        str(tmp_path),
    ]
    assert upstream_of(["server", "--db=./new.db", "../new"], [], []).command == [
        "server",
        f"--db={tmp_path}/new.db",
        str(tmp_path.parent / "new"),
    ]
    two = upstream_of(["uv", "--directory", "./program", "run", "./notes", "./books"], [], [])
    assert root_of(folders_of(two)) == str(tmp_path)
    assert root_of(["/"]) is None and root_of([]) is None


@pytest.mark.parametrize(
    "words, roots",
    [
        ("mcp-server-git --repository ./notes", "notes"),
        ("mcp-server-git -r ./notes", "notes"),
        ("mcp-server-git --repository=./notes", "notes"),
        ("uv --directory ./program run mcp-server-git --repository ./notes", "notes"),
        ("uv --directory=./program run mcp-server-git", ""),
        ("python -m mcp_server_git --log ./missing", ""),
    ],
)
def test_a_folder_that_an_option_of_the_program_names_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, roots: str
) -> None:
    for name in ("notes", "program"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert folders_of(upstream_of(words.split(), [], [])) == [str(tmp_path / one) for one in roots.split()]


@pytest.mark.parametrize(
    "words, prefix",
    [
        ("npx -y @modelcontextprotocol/server-filesystem /notes", "filesystem"),
        ("npx -y @modelcontextprotocol/server-github@1.2.0", "github-mcp"),
        ("uvx mcp-server-git --repository /x", "git"),
        ("docker run -i --rm mcp/fetch", "fetch"),
        ("python -m mcp_server_time", "time"),
        ("npx -y @playwright/mcp@latest", "playwright"),
        ("/opt/node-linux-x64/bin/node /opt/server-filesystem/dist/index.js /notes", "filesystem"),
        ("uv --directory /x run server.py", "mcp"),
        ("https://mcp.linear.app/mcp", "linear"),
        ("http://127.0.0.1:8080/mcp", "mcp"),
    ],
)
def test_the_prefix_is_the_name_of_the_server(words: str, prefix: str) -> None:
    assert prefix_of(words.split(), {"github", "slack"}) == prefix
