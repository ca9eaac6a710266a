"""Valid environment variables are accepted. Invalid ones end the process with one line."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from agentgate.environment import (
    Environment,
    read_algorithm,
    read_allow_loopback,
    read_api_port,
    read_api_url,
    read_issuer,
    read_jwt_secret,
    read_metrics_token,
    read_retention,
    read_secret_key,
    read_verify_queue,
)
from tests.shared import cases

GOOD_SECRET = "4e6d8b0a2c9f71354e6d8b0a2c9f7135"


def stops(exit_: pytest.ExceptionInfo[SystemExit]) -> str:
    """Return the line with which the process ended."""
    message = str(exit_.value)
    assert message.startswith("agentgate: ")
    assert "\n" not in message
    return message


@cases(
    ("secret", "says"),
    [
        ("", "is not set"),
        ("s3cret", "too short: 6 characters"),
        ("x" * 64, "too easy"),
        ("abcabcabc" * 5, "too easy"),
        ("changemechangemechangemechangeme", "too easy"),
        ("your-production-secret-hereyour-production-secret-here"[:40], "too easy"),
        ("change-me-before-you-deploy-this-to-production", "contains “changeme”"),
        ("CHANGE_ME_9f71354e6d8b0a2c9f71354e6d8b0a2c", "contains “changeme”"),
        ("my-secret-for-signing-tokens-2026", "contains “secret”"),
        ("agentgateagentgateagentgateagentgate", "too easy"),
        ("django-insecure-4e6d8b0a2c9f71354e6d8b0a2c9f7135", "contains “insecure”"),
        ("for this example only, never in production", "contains “example”"),
        ("0123456789abcdef0123456789abcdef", "contains “12345678”"),
    ],
)
def test_a_missing_or_weak_jwt_secret_stops_the_start(secret: str, says: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        read_jwt_secret(Environment({"JWT_SECRET": secret}))

    message = stops(exit_)
    assert "JWT_SECRET" in message
    assert says in message
    assert not secret or secret not in message


@cases("secret", ["tiny", "x" * 64, "django-insecure-4e6d8b0a2c9f71354e6d8b0a2c9f7135"])
def test_a_weak_secret_key_stops_the_start(secret: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        read_secret_key(Environment({"SECRET_KEY": secret}), GOOD_SECRET)

    message = stops(exit_)
    assert "SECRET_KEY" in message
    assert secret not in message


def test_a_secret_key_is_derived_unless_it_is_given() -> None:
    assert read_secret_key(Environment({}), "jwt") == "django:jwt"
    assert read_secret_key(Environment({"SECRET_KEY": GOOD_SECRET}), "jwt") == GOOD_SECRET


def test_a_metrics_token_is_optional_and_a_weak_one_stops_the_start() -> None:
    assert read_metrics_token(Environment({})) == ""
    assert read_metrics_token(Environment({"METRICS_TOKEN": GOOD_SECRET})) == GOOD_SECRET
    with pytest.raises(SystemExit, match="METRICS_TOKEN is too short"):
        read_metrics_token(Environment({"METRICS_TOKEN": "short"}))


def test_a_random_jwt_secret_is_accepted() -> None:
    assert read_jwt_secret(Environment({"JWT_SECRET": GOOD_SECRET})) == GOOD_SECRET


def test_a_secret_is_read_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{GOOD_SECRET}\n")

    assert read_jwt_secret(Environment({"JWT_SECRET_FILE": str(tmp_path / "secret")})) == GOOD_SECRET


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit_:
        Environment({"REDIS_URL_FILE": str(tmp_path / "absent")}).text("REDIS_URL")

    assert "REDIS_URL_FILE cannot be read" in stops(exit_)


@cases("algorithm", ["none", "RS512", "es256", "HS512"])
def test_an_unknown_algorithm_stops_the_start(algorithm: str) -> None:
    with pytest.raises(SystemExit, match="JWT_ALGORITHM must be one of ES256, RS256, EdDSA, HS256"):
        read_algorithm(Environment({"JWT_ALGORITHM": algorithm}))


def test_es256_is_the_default_algorithm() -> None:
    assert read_algorithm(Environment({})) == "ES256"


@cases("url", ["gate.example.com", "ftp://gate.example.com", "https://gate.example.com/api", "https://"])
def test_an_api_url_that_is_not_an_origin_stops_the_start(url: str) -> None:
    with pytest.raises(SystemExit, match="API_URL must be an origin"):
        read_api_url(Environment({"API_URL": url}))


@cases("host", ["gate.example.com", "192.0.2.7:8000", "0.0.0.0:8000", "localhost.example.com"])
def test_http_on_a_public_host_stops_the_start(host: str) -> None:
    with pytest.raises(SystemExit, match="API_URL must be https, except on loopback hosts") as exit_:
        read_api_url(Environment({"API_URL": f"http://{host}"}))
    stops(exit_)


@cases("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
def test_http_on_a_loopback_host_is_accepted(host: str) -> None:
    assert read_api_url(Environment({"API_URL": f"http://{host}"})) == f"http://{host.lower()}"


@cases(
    ("given", "url", "port"),
    [
        ({}, "http://localhost:8000", "8000"),
        ({"API_PORT": "8150"}, "http://localhost:8150", "8150"),
        ({"API_URL": "http://127.0.0.1:8150/"}, "http://127.0.0.1:8150", "8150"),
        ({"API_URL": "HTTP://[::1]:8150"}, "http://[::1]:8150", "8150"),
        ({"API_URL": "http://localhost"}, "http://localhost", "8000"),
        ({"API_URL": "https://gate.example.com:8443"}, "https://gate.example.com:8443", "8000"),
        ({"API_URL": "http://localhost:9000", "API_PORT": "8150"}, "http://localhost:9000", "8150"),
    ],
)
def test_the_api_url_and_the_port_follow_each_other_unless_both_are_set(
    given: dict[str, str], url: str, port: str
) -> None:
    assert (read_api_url(Environment(given)), read_api_port(Environment(given))) == (url, port)


@cases("port", ["eight", "0", "65536", "-1"])
def test_an_api_port_that_is_not_a_port_stops_the_start(port: str) -> None:
    for read in (read_api_url, read_api_port):
        with pytest.raises(SystemExit, match="API_PORT must be a whole number between 1 and 65535") as exit_:
            read(Environment({"API_PORT": port}))
        stops(exit_)


def test_a_trailing_slash_of_the_api_url_is_removed() -> None:
    assert read_api_url(Environment({"API_URL": "https://gate.example.com/"})) == "https://gate.example.com"


def test_the_api_url_is_kept_in_its_canonical_form() -> None:
    """It is the default audience of tokens, and audiences are compared in that form."""
    assert read_api_url(Environment({"API_URL": "HTTPS://Gate.Example.com.:443"})) == "https://gate.example.com"


def test_only_the_issuer_whose_metadata_is_served_is_accepted() -> None:
    url = "https://gate.example.com"
    assert read_issuer(Environment({}), url) == f"{url}/oauth"
    assert read_issuer(Environment({"JWT_ISSUER": f"{url}/oauth"}), url) == f"{url}/oauth"
    with pytest.raises(SystemExit, match="JWT_ISSUER must be "):
        read_issuer(Environment({"JWT_ISSUER": "agentgate"}), url)


def test_webhooks_to_this_host_are_for_development() -> None:
    allowed = Environment({"WEBHOOK_ALLOW_LOOPBACK": "true"})
    assert read_allow_loopback(allowed, "http://localhost:8000")
    assert not read_allow_loopback(Environment({}), "https://gate.example.com")
    with pytest.raises(SystemExit, match="WEBHOOK_ALLOW_LOOPBACK is for development"):
        read_allow_loopback(allowed, "https://gate.example.com")


@cases(("text", "value"), [("1", True), ("TRUE", True), ("on", True), ("no", False), ("0", False)])
def test_a_flag_is_read_in_every_usual_spelling(text: str, value: bool) -> None:
    assert Environment({"DEBUG": text}).flag("DEBUG", default=not value) is value


def test_an_invalid_flag_stops_the_start() -> None:
    with pytest.raises(SystemExit, match="DEBUG must be true or false"):
        Environment({"DEBUG": "maybe"}).flag("DEBUG")


@cases("text", ["-1", "8000.0", "eight"])
def test_an_invalid_number_stops_the_start(text: str) -> None:
    with pytest.raises(SystemExit, match="API_PORT must be a whole number"):
        Environment({"API_PORT": text}).number("API_PORT", 8000)


def test_networks_are_read_and_a_host_with_bits_set_stops_the_start() -> None:
    networks = Environment({"TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32,"}).networks("TRUSTED_PROXIES")
    assert networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    with pytest.raises(SystemExit, match="TRUSTED_PROXIES"):
        Environment({"TRUSTED_PROXIES": "10.0.0.1/8"}).networks("TRUSTED_PROXIES")


def test_a_queue_that_is_shorter_than_a_batch_stops_the_start() -> None:
    with pytest.raises(SystemExit, match="VERIFY_QUEUE must be 100 or more"):
        read_verify_queue(Environment({"VERIFY_QUEUE": "99"}))
    assert read_verify_queue(Environment({"VERIFY_QUEUE": "100"})) == 100
    assert read_verify_queue(Environment({})) == 1024


@cases("months", ["0", "1201", "-1", "a year"])
def test_a_retention_that_is_not_a_number_of_months_stops_the_start(months: str) -> None:
    with pytest.raises(SystemExit, match="AUDIT_PERSONAL_RETENTION_MONTHS must be"):
        read_retention(Environment({"AUDIT_PERSONAL_RETENTION_MONTHS": months}))


def test_personal_data_is_kept_for_thirteen_months_by_default() -> None:
    assert read_retention(Environment({})) == 13
    assert read_retention(Environment({"AUDIT_PERSONAL_RETENTION_MONTHS": "1"})) == 1
