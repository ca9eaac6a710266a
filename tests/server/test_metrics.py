"""Who may read the metrics, and what Django's middleware reports. tests/live/test_metrics.py adds up processes."""

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from prometheus_client import multiprocess

from server import metrics_folder
from server.metrics import MetricsMiddleware, _forget_dead_processes, route_of
from tests.samples import sample
from tests.shared import cases

pytestmark = pytest.mark.django_db

TOKEN = "f00d5e6d8b0a2c9f7135aa0b7c1d9e42"
LOCAL, CALLER = "127.0.0.1", "203.0.113.7"


def read(peer: str = LOCAL, host: str = "localhost:8000", **headers: str) -> Any:
    return Client().get("/metrics", REMOTE_ADDR=peer, headers={"Host": host, **headers})


def assert_published(response: Any) -> None:
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")
    assert response["Cache-Control"] == "no-store"
    assert "# TYPE agentgate_decisions_total counter" in response.content.decode()


class TestWithoutAToken:
    @cases("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
    def test_a_direct_request_from_this_host_is_answered(self, host: str) -> None:
        assert_published(read(host=host))
        assert_published(read(peer="::1", host=host))

    def test_other_hosts_are_refused(self) -> None:
        response = read(peer=CALLER)
        assert response.status_code == 403
        assert "METRICS_TOKEN" in response.content.decode()

    @cases("trusted", [(), (ip_network("127.0.0.0/8"),)])
    @cases("name", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "Via"])
    @cases("value", [CALLER, LOCAL, ""])
    def test_a_proxy_on_this_host_opens_nothing(self, settings: Any, trusted: Any, name: str, value: str) -> None:
        settings.TRUSTED_PROXIES = trusted
        assert read(**{name: value}).status_code == 403

    @cases("host", ["testserver", "gate.example.com", "localhost.example.com", "127.0.0.1.nip.io"])
    def test_a_request_for_another_host_name_is_refused(self, settings: Any, host: str) -> None:
        """A proxy that adds no header keeps the name that its caller used."""
        settings.ALLOWED_HOSTS = ["*"]
        assert read(host=host).status_code == 403


class TestWithAToken:
    @pytest.fixture(autouse=True)
    def _token(self, settings: Any) -> None:
        settings.METRICS_TOKEN = TOKEN

    @cases("peer", [LOCAL, CALLER])
    def test_it_opens_the_metrics_from_anywhere(self, peer: str) -> None:
        assert_published(read(peer=peer, host="testserver", Authorization=f"Bearer {TOKEN}"))

    @cases("sent", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "é"])
    def test_a_missing_or_wrong_one_is_refused_even_on_this_host(self, sent: str) -> None:
        response = read(Authorization=sent)
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert b"agentgate_" not in response.content


@cases("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_refused(method: str) -> None:
    assert Client().generic(method, "/metrics", headers={"Host": "localhost"}).status_code == 405


def test_plain_http_is_not_redirected_to_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert_published(read())


@cases(
    ("path", "route"),
    [
        ("/api/v1/health", "health"),
        ("/api/v1/tokens/verify", "decision"),
        ("/api/v1/tokens/verify/batch", "decision"),
        ("/api/v1/forward-auth", "decision"),
        ("/oauth/introspect", "decision"),
        ("/api/v1/tokens/refresh", "token"),
        ("/oauth/token", "token"),
        ("/oauth/authorize", "oauth"),
        ("/.well-known/oauth-authorization-server/oauth", "oauth"),
        ("/api/v1/agents", "api"),
        ("/admin/", "admin"),
        ("/static/site.css", "static"),
        ("/metrics", "metrics"),
        ("/", "page"),
        ("/connections", "page"),
        ("/no/such/path", "page"),
    ],
)
def test_each_path_is_of_one_kind(path: str, route: str) -> None:
    assert route_of(path) == route


def test_a_response_is_measured_by_kind_of_path_and_status() -> None:
    labels = {"route": "api", "status": "4xx"}
    before = [sample(f"agentgate_http_seconds_{part}", **labels) for part in ("count", "sum")]
    middleware = MetricsMiddleware(lambda request: HttpResponse(status=404))
    middleware(RequestFactory().get("/api/v1/x"))
    after = [sample(f"agentgate_http_seconds_{part}", **labels) for part in ("count", "sum")]
    assert after[0] == before[0] + 1
    assert after[1] > before[1]


def test_the_middleware_measures_every_request(client: Client) -> None:
    before = sample("agentgate_http_seconds_count", route="api", status="4xx")
    client.get("/api/v1/no-such-path")
    assert sample("agentgate_http_seconds_count", route="api", status="4xx") == before + 1


class TestFolder:
    def test_an_ended_process_leaves_its_counts_but_no_queue(self, tmp_path: Path) -> None:
        code = (
            "from core import metrics\nmetrics.report_batch([None] * 3, [0.1] * 3)\nmetrics.queue_length.set(5)\n"
            "metrics.report_sequenced(2)\nmetrics.report_sequencer(0.5, 0)"
        )
        environment = {**os.environ, metrics_folder.VARIABLE: str(tmp_path)}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        assert values(tmp_path)["agentgate_queue_length"] == 5

        _forget_dead_processes(tmp_path)

        assert values(tmp_path)["agentgate_decisions_total"] == 3
        assert values(tmp_path)["agentgate_sequenced_entries_total"] == 2
        assert not {"agentgate_queue_length", "agentgate_sequencer_lag_seconds"} & set(values(tmp_path))

    def test_a_running_process_keeps_its_queue(self, tmp_path: Path) -> None:
        file = tmp_path / f"gauge_livesum_{os.getpid()}.db"
        file.touch()
        _forget_dead_processes(tmp_path)
        assert file.exists()

    def test_the_folder_must_exist_before_prometheus_client_is_imported(self) -> None:
        with pytest.raises(RuntimeError, match="before"):
            metrics_folder.share_metrics()

    def test_the_folder_is_deleted_when_the_process_ends(self) -> None:
        code = (
            "import os; from server.metrics_folder import *; share_metrics(); import core.metrics\n"
            "print(os.environ[VARIABLE], len(os.listdir(os.environ[VARIABLE])))"
        )
        output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        folder, files = output.split()
        assert int(files) > 0
        assert not Path(folder).exists()


def values(folder: Path) -> dict[str, float]:
    """Return the metrics in the folder that have no labels, or the sum over all labels."""
    found: dict[str, float] = {}
    for metric in multiprocess.MultiProcessCollector(None, str(folder)).collect():
        for each in metric.samples:
            found[each.name] = found.get(each.name, 0) + each.value
    return found
