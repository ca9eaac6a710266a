"""What the command line says if there is no response."""

from __future__ import annotations

import pytest
from tls import PrivateAuthority, listening

from agentgate_oauth._causes import Cause
from agentgate_oauth.cli.failures import report_of
from agentgate_oauth.errors import ConnectionFailedError

LIST = ("agents", "list", "--url")


@pytest.fixture(autouse=True)
def without_pauses_and_proxies(monkeypatch):
    monkeypatch.setattr("agentgate_oauth._drivers.time.sleep", lambda _: None)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_private_ca_is_named_by_ssl_cert_file(api, cli, tmp_path, monkeypatch):
    authority = PrivateAuthority(tmp_path)
    with listening(authority.certificate()) as port:
        url = f"https://localhost:{port}"
        cli(*LIST, url, code=1)
        assert f"AgentGate did not respond at {url}: the server's certificate is not trusted" in cli.err
        assert "set SSL_CERT_FILE to a file with its certificate" in cli.err
        error = cli.error(*LIST, url)
        assert (error["code"], error["cause"]) == ("connection_failed", "certificate_not_trusted")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert cli.json(*LIST, url) == {"items": []}


def test_a_wrong_ssl_cert_file_is_named(api, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    cli(*LIST, "https://localhost:1", code=1)
    assert "SSL_CERT_FILE" in cli.err and "missing.pem" in cli.err


def test_a_server_that_does_not_run_is_named(api, cli):
    cli(*LIST, "http://localhost:1", code=1)
    assert "AgentGate did not respond at http://localhost:1: the connection was refused." in cli.err
    assert "AGENTGATE_URL" in cli.err


def test_a_proxy_is_named_because_it_may_be_what_does_not_respond(api, cli, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://localhost:1")
    cli(*LIST, "https://gate.example", code=1)
    assert "A proxy is set in HTTPS_PROXY" in cli.err


@pytest.mark.parametrize(
    "cause",
    [
        "certificate_not_trusted",
        "certificate_not_valid",
        "tls_failed",
        "host_not_found",
        "connection_refused",
        "timeout",
        "proxy_failed",
        "no_response",
    ],
)
def test_every_cause_has_a_remedy(cause):
    error = ConnectionFailedError("ConnectError", False, "https://gate.example", Cause(cause, "words"))
    report = report_of(error, lambda: "")
    assert report is not None and report.facts["cause"] == cause and report.facts["hint"]
